"""The token for the hub: who is shown it, and what is said where one is missing, wrong or without access."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trio

from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw_daemon.models.fetching.hub_access import HubToken, hub_token
from tests.models.ggufs import gguf
from tests.models.hubserver import Answer, Hub, running_hub
from tests.models.pulls import Pulls
from tests.patience import PATIENCE_S

BODY = gguf(3)
TOKEN = "hf_" + "t0ken" * 6
REF = "hf:o/gated"


@pytest.fixture
def gated(hub: Hub) -> Hub:
    """A hub with a gated repository, and the token of an account that has access."""
    hub.add("o/gated", "m-Q4_0.gguf", BODY)
    hub.gated.add("o/gated")
    hub.tokens[TOKEN] = True
    return hub


@pytest.fixture
def cdn() -> Iterator[Hub]:
    """The content network that the hub leads to: another origin."""
    with running_hub() as made:
        made.add("files", "1.gguf", BODY)
        yield made


def shown_to(hub: Hub) -> set[str | None]:
    return {request.headers.get("Authorization") for request in hub.requests}


async def refused(folder: Path, hub: Hub, token: str | None) -> ModelUnavailable:
    pulls = Pulls(folder, {} if token is None else {"HF_TOKEN": token})
    with pytest.raises(ModelUnavailable) as caught:
        await pulls.hub(hub.url, REF)
    assert list(folder.glob("*.gguf")) == []
    assert token is None or token not in str(caught.value) + caught.value.hint
    return caught.value


@pytest.mark.anyio
@pytest.mark.parametrize("hidden", [False, True], ids=["listed", "hidden"])
async def test_without_a_token_a_gated_one_says_what_to_do(gated: Hub, folder: Path, hidden: bool) -> None:
    gated.hidden = hidden
    error = await refused(folder, gated, None)
    name = "hf:o/gated" if hidden else "hf:o/gated:Q4_0"
    reason = "it is gated: the model hub gives it to accounts that accepted its licence"
    assert error.message == f"{name} cannot be pulled: {reason}"
    assert error.hint == (
        f"accept it at {gated.url}/o/gated, set HF_TOKEN to a token of that account, then `agentgw restart`"
    )
    assert shown_to(gated) == {None}


@pytest.mark.anyio
@pytest.mark.parametrize("hidden", [False, True], ids=["listed", "hidden"])
async def test_an_account_without_access_is_told_where_to_ask(gated: Hub, folder: Path, hidden: bool) -> None:
    gated.hidden = hidden
    gated.tokens[TOKEN] = False
    error = await refused(folder, gated, TOKEN)
    assert "the account of HF_TOKEN has no access to it" in error.message
    assert error.hint == f"accept its licence at {gated.url}/o/gated, then pull again"


@pytest.mark.anyio
async def test_a_token_that_the_hub_does_not_know_is_named(gated: Hub, folder: Path) -> None:
    error = await refused(folder, gated, "hf_of_last_year")
    assert "the model hub does not accept HF_TOKEN" in error.message
    assert "make a new token" in error.hint


@pytest.mark.anyio
@pytest.mark.parametrize("token", ["two words", "line\nHost: evil", "naïve-token", "\x00\x01", "x" * 513])
async def test_a_token_that_cannot_be_a_header_is_never_sent(gated: Hub, folder: Path, token: str) -> None:
    error = await refused(folder, gated, token)
    assert "HF_TOKEN is no token" in error.message
    assert gated.requests == []


@pytest.mark.anyio
@pytest.mark.parametrize("token", ["", "  ", "\n"])
async def test_an_empty_token_is_none(hub: Hub, folder: Path, token: str) -> None:
    hub.add("o/gated", "m-Q4_0.gguf", BODY)
    await Pulls(folder, {"HF_TOKEN": token}).hub(hub.url, REF)
    assert shown_to(hub) == {None}


@pytest.mark.anyio
async def test_the_hub_is_shown_the_token_and_where_it_leads_is_not(gated: Hub, cdn: Hub, folder: Path) -> None:
    leading = Answer(location=f"{cdn.url}/files/x/resolve/main/1.gguf")
    cdn.add("files/x", "1.gguf", BODY)
    # Broken twice on the way: each try begins at the hub again.
    gated.answers = [leading, leading, leading]
    cdn.answers = [Answer(drop_after=70_000), Answer(drop_after=30_000)]
    stem = await Pulls(folder, {"HF_TOKEN": f" {TOKEN}\n"}).hub(gated.url, REF)
    assert hashlib.sha256((folder / f"{stem}.gguf").read_bytes()).digest() == hashlib.sha256(BODY).digest()
    assert shown_to(gated) == {f"Bearer {TOKEN}"}
    assert shown_to(cdn) == {None}
    assert [request.headers.get("Range") for request in cdn.downloads] == [None, "bytes=70000-", "bytes=100000-"]


@pytest.mark.anyio
async def test_a_page_of_the_list_elsewhere_is_not_shown_the_token(gated: Hub, cdn: Hub, folder: Path) -> None:
    cdn.add("o/gated", "m-Q4_0.gguf", BODY)
    gated.next_page = f"{cdn.url}/api/models/o/gated/tree/main"
    await Pulls(folder, {"HF_TOKEN": TOKEN}).hub(gated.url, REF)
    assert shown_to(gated) == {f"Bearer {TOKEN}"}
    assert shown_to(cdn) == {None}


@pytest.mark.anyio
async def test_a_refusal_of_the_content_network_is_not_the_hubs(gated: Hub, cdn: Hub, folder: Path) -> None:
    gated.answers = [Answer(location=f"{cdn.url}/files/x/resolve/main/1.gguf")]
    cdn.answers = [Answer(status=403)]
    error = await refused(folder, gated, TOKEN)
    assert error.message == "hf:o/gated:Q4_0 cannot be downloaded: the server answered 403"


@pytest.mark.anyio
async def test_a_file_that_changes_at_the_content_network_is_not_mixed(hub: Hub, cdn: Hub, folder: Path) -> None:
    hub.add("o/gated", "m-Q4_0.gguf", BODY)
    cdn.add("files/x", "1.gguf", BODY)
    hub.answers = [Answer(location=f"{cdn.url}/files/x/resolve/main/1.gguf")] * 2
    cdn.answers = [Answer(drop_after=90_000, etag='"old"'), Answer(etag='"new"')]
    stem = await Pulls(folder).hub(hub.url, REF)
    assert (folder / f"{stem}.gguf").read_bytes() == BODY
    # Asked to go on with the old one, the network began the new one anew.
    assert cdn.downloads[1].headers["If-Range"] == '"old"'


@pytest.mark.anyio
async def test_with_a_token_a_repository_that_is_not_there_is_not_found(gated: Hub, folder: Path) -> None:
    gated.list_status = 404
    with pytest.raises(NotFound, match="no public repository o/gated"):
        await Pulls(folder, {"HF_TOKEN": TOKEN}).hub(gated.url, REF)


@pytest.mark.anyio
async def test_a_list_without_end_is_given_up(hub: Hub, folder: Path) -> None:
    hub.add("o/gated", "m-Q4_0.gguf", BODY)
    hub.next_page = f"{hub.url}/api/models/o/gated/tree/main"
    with trio.fail_after(PATIENCE_S):
        await Pulls(folder).hub(hub.url, REF)
    assert len([request for request in hub.requests if "/tree/" in request.path]) == 10


@pytest.mark.parametrize(
    "url",
    ["http://hub.example/x", "https://hub.example:8443/x", "https://cdn.hub.example/x", "https://hub.example.evil/x",
     "https://evil/hub.example", "https://hub.example@evil/x"],
)  # fmt: skip
def test_another_scheme_port_or_host_is_another_origin(url: str) -> None:
    request = next(HubToken("https://hub.example", TOKEN).auth_flow(httpx.Request("GET", url)))
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("url", ["https://hub.example/x", "https://hub.example:443/x", "https://HUB.example/x"])
def test_the_same_origin_is_recognised_however_it_is_spelled(url: str) -> None:
    request = next(HubToken("https://hub.example/", TOKEN).auth_flow(httpx.Request("GET", url)))
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_no_token_is_none() -> None:
    assert hub_token("https://hub.example", None, "m") is None
