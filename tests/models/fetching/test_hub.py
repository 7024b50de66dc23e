"""File of a repository that a reference means, and answers that a hub may give."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest

from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw_daemon.models.fetching.download import open_client
from agentgw_daemon.models.fetching.hub import HubFile, ResolvedReference, choose, find, licence
from agentgw_daemon.models.names.reference import HubRef, parse
from tests.models.ggufs import shard_names
from tests.models.hubserver import Hub


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path=path, size_bytes=10, sha256=sha256(path.encode()).hexdigest()) for path in paths]


def hub_ref(text: str) -> HubRef:
    ref = parse(text)
    assert isinstance(ref, HubRef)
    return ref


@pytest.mark.parametrize(
    ("path", "quant"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("model.q8_0.gguf", "Q8_0"),
        ("sub/SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("x-IQ2_XXS.gguf", "IQ2_XXS"),
        ("x-IQ4_NL.gguf", "IQ4_NL"),
        ("x-UD-Q4_K_XL.gguf", "Q4_K_XL"),
        ("x-Q6_K.gguf", "Q6_K"),
        ("x-bf16.gguf", "BF16"),
        ("x-F32.gguf", "F32"),
        ("x-MXFP4.gguf", "MXFP4"),
        ("x-TQ1_0.gguf", "TQ1_0"),
        ("model.gguf", None),
        ("BF16/model.gguf", "BF16"),
        ("Q4_K_M/x-Q8_0-00001-of-00002.gguf", "Q8_0"),
        ("old/Q6_K/deep/model-00001-of-00002.gguf", "Q6_K"),
        ("unq4_0x.gguf", None),
    ],
)
def test_the_quantisation_is_read_from_the_name(path: str, quant: str | None) -> None:
    assert files(path)[0].quant == quant


@pytest.mark.parametrize(
    ("text", "paths", "chosen"),
    [
        ("hf:o/r", ("m-Q8_0.gguf", "m-Q4_0.gguf", "m-Q4_K_M.gguf"), "m-Q4_K_M.gguf"),
        ("hf:o/r", ("m-F16.gguf", "m-Q8_0.gguf", "m-Q4_0.gguf"), "m-Q4_0.gguf"),
        ("hf:o/r", ("only.gguf",), "only.gguf"),
        ("hf:o/r", ("mmproj-F16.gguf", "only.gguf"), "only.gguf"),
        ("hf:o/r", ("m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"), "m-Q8_0.gguf"),
        ("hf:o/r:Q4_0", ("m-Q4_0-00001-of-00001.gguf",), "m-Q4_0-00001-of-00001.gguf"),
        ("hf:o/r:Q4_0", (*shard_names("m-Q4_0"), "sub/m-Q4_0.gguf"), "sub/m-Q4_0.gguf"),
        ("hf:o/r:q8_0", ("m-Q4_K_M.gguf", "m-Q8_0.gguf"), "m-Q8_0.gguf"),
        ("hf:o/r:Q8_0", ("sub/a-Q8_0.gguf", "m-Q8_0.gguf"), "m-Q8_0.gguf"),
        ("hf:o/r/sub/a.gguf", ("a.gguf", "sub/a.gguf"), "sub/a.gguf"),
        ("hf:o/r/mmproj-F16.gguf", ("mmproj-F16.gguf",), "mmproj-F16.gguf"),
    ],
)
def test_a_reference_means_one_file(text: str, paths: tuple[str, ...], chosen: str) -> None:
    [file] = choose(hub_ref(text), files(*paths))
    assert file.path == chosen


@pytest.mark.parametrize(
    ("text", "paths", "chosen"),
    [
        ("hf:o/r", ("m-Q8_0.gguf", *shard_names("m-Q4_K_M")), shard_names("m-Q4_K_M")),
        ("hf:o/r:q4_0", shard_names("m-Q4_0")[::-1], shard_names("m-Q4_0")),
        ("hf:o/r:Q4_0", (*shard_names("m-Q4_0"), *shard_names("m-Q5_0")), shard_names("m-Q4_0")),
        ("hf:o/r:Q4_0", (*shard_names("Q4_0/m"), *shard_names("Q5_0/m")), shard_names("Q4_0/m")),
        ("hf:o/r:Q4_0", (*shard_names("m-Q4_0"), *shard_names("m-Q4_0", 2)), shard_names("m-Q4_0", 2)),
        ("hf:o/r:Q4_0", (*shard_names("m-Q4_0"), *shard_names("m-Q4_0", 2)[:1]), shard_names("m-Q4_0")),
        ("hf:o/r:Q4_0", (*shard_names("b/m-Q4_0"), *shard_names("a/m-Q4_0")), shard_names("a/m-Q4_0")),
        ("hf:o/r/b/m-Q4_0-00002-of-00003.gguf", (*shard_names("b/m-Q4_0"), "b/m-Q4_0.gguf"), shard_names("b/m-Q4_0")),
        ("hf:o/r:Q4_0", ("M-Q4_0-00002-OF-00002.GGUF", "M-Q4_0-00001-OF-00002.GGUF"),
         ["M-Q4_0-00001-OF-00002.GGUF", "M-Q4_0-00002-OF-00002.GGUF"]),
        ("hf:o/r", (*shard_names("mmproj-Q4_0"), *shard_names("m")), shard_names("m")),
        ("hf:o/r:Q4_0", (*shard_names("m-Q4_0"), "m-Q4_0-00000-of-00003.gguf", "m-Q4_0-00009-of-00003.gguf"),
         shard_names("m-Q4_0")),
    ],
)  # fmt: skip
def test_a_reference_means_all_files_of_a_split_model(text: str, paths: Sequence[str], chosen: list[str]) -> None:
    assert [file.path for file in choose(hub_ref(text), files(*paths))] == chosen


@pytest.mark.parametrize(
    ("text", "paths", "message", "hint"),
    [
        ("hf:o/r", (), "has no GGUF model", ""),
        ("hf:o/r", ("mmproj-F16.gguf",), "has no GGUF model", ""),
        ("hf:o/r:Q2_K", ("m-Q4_0.gguf", "m-Q8_0.gguf"), "has no Q2_K", "it has Q4_0, Q8_0"),
        ("hf:o/r", ("a.gguf", "b.gguf"), "has several models", ""),
        ("hf:o/r/x.gguf", ("y-Q4_0.gguf",), "has no file x.gguf", "it has Q4_0"),
    ],
)
def test_what_a_repository_has_not_is_not_found(text: str, paths: tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(NotFound, match=message) as caught:
        choose(hub_ref(text), files(*paths))
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "paths", "reason"),
    [
        ("hf:o/r", shard_names("m-Q4_K_M")[:1], "split into 3 files, and the repository has no part 2, 3"),
        ("hf:o/r:Q4_K_M", shard_names("m-Q4_K_M")[1:], "has no part 1"),
        ("hf:o/r:Q4_0", ("m-Q4_0-00001-of-00002.gguf", "m-Q5_0-00002-of-00002.gguf"), "has no part 2"),
        ("hf:o/r:Q4_0", ("m-Q4_0-00001-of-00002.gguf", "m-Q4_0-00002-of-00003.gguf"), "has no part 2"),
        ("hf:o/r:Q4_0", ("a/m-Q4_0-00001-of-00002.gguf", "b/m-Q4_0-00002-of-00002.gguf"), "has no part 2"),
        ("hf:o/r:Q4_0", ("m-Q4_0-00001-of-00400.gguf",), "has no part 2, 3, 4, 5, 6 and more"),
        ("hf:o/r", ("m-00001-of-99999.gguf",), "split into 99999 files; at most 512 are taken"),
        ("hf:o/r/m-00001-of-00003.gguf", ("m-00001-of-00003.gguf", "m.gguf"), "has no part 2, 3"),
    ],
)
def test_a_split_model_that_is_not_all_there_is_refused_in_words(text: str, paths: Sequence[str], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        choose(hub_ref(text), files(*paths))


def test_a_part_that_cannot_be_is_no_model() -> None:
    with pytest.raises(NotFound, match="no GGUF model"):
        choose(hub_ref("hf:o/r"), files("m-Q4_0-00000-of-00003.gguf", "m-Q4_0-00004-of-00003.gguf"))


@pytest.mark.parametrize(("digests", "reason"), [(("a", None), "cannot be verified"), (("a", "a"), "the same sha256")])
def test_parts_that_cannot_be_told_apart_are_refused(digests: tuple[str | None, ...], reason: str) -> None:
    names = shard_names("m-Q4_0", len(digests))
    listed = [
        HubFile(path=path, size_bytes=10, sha256=digest and digest * 64)
        for path, digest in zip(names, digests, strict=True)
    ]
    with pytest.raises(ModelUnavailable, match=reason):
        choose(hub_ref("hf:o/r"), listed)


async def look(hub: Hub, text: str) -> ResolvedReference:
    async with open_client(hub.url, text) as client:
        return await find(client, hub.url, hub_ref(text))


@pytest.mark.anyio
async def test_a_file_is_found_with_its_size_digest_and_shortest_name(hub: Hub) -> None:
    digest = hub.add("o/r", "m-Q4_K_M.gguf", b"x" * 10)
    hub.add("o/r", "README.md", b"text")
    hub.add("o/r", "sub/m-Q4_K_M.gguf", b"y")
    found = await look(hub, "hf:o/r")
    [remote] = found.remotes
    assert (found.name, found.file.path, remote.size_bytes) == ("hf:o/r:Q4_K_M", "m-Q4_K_M.gguf", 10)
    assert remote.sha256 == digest
    assert remote.url == f"{hub.url}/o/r/resolve/main/m-Q4_K_M.gguf"
    assert (await look(hub, "hf:o/r/sub/m-Q4_K_M.gguf")).name == "hf:o/r/sub/m-Q4_K_M.gguf"


@pytest.mark.anyio
async def test_the_files_of_a_split_model_are_found_with_their_sizes_and_digests(hub: Hub) -> None:
    digests = [hub.add("o/r", name, name.encode()) for name in shard_names("Q4_K_M/m")]
    found = await look(hub, "hf:o/r/Q4_K_M/m-00002-of-00003.gguf")
    assert found.name == "hf:o/r:Q4_K_M"
    assert [remote.sha256 for remote in found.remotes] == digests
    assert [remote.url for remote in found.remotes] == [
        f"{hub.url}/o/r/resolve/main/{name}" for name in shard_names("Q4_K_M/m")
    ]


@pytest.mark.anyio
async def test_a_long_list_is_read_page_by_page(hub: Hub) -> None:
    hub.page_size = 2
    for number in range(5):
        hub.add("o/r", f"m-{number}.gguf", b"x")
    hub.add("o/r", "m-Q4_0.gguf", b"x")
    assert (await look(hub, "hf:o/r")).file.path == "m-Q4_0.gguf"
    assert len(hub.requests) == 4


@pytest.mark.anyio
async def test_a_file_without_a_digest_is_refused(hub: Hub) -> None:
    hub.add("o/r", "m.gguf", b"x", sha256=None)
    with pytest.raises(ModelUnavailable, match="cannot be verified"):
        await look(hub, "hf:o/r")


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["../m.gguf", "/m.gguf", "a b.gguf", ".m.gguf", "a//m.gguf", "m%2e.gguf", "a\nb.gguf"])
async def test_a_file_with_a_name_that_cannot_be_asked_for_is_not_offered(hub: Hub, path: str) -> None:
    hub.add("o/r", path, b"x")
    with pytest.raises(NotFound, match="no GGUF model"):
        await look(hub, "hf:o/r")


@pytest.mark.anyio
async def test_a_repository_that_is_not_there_is_not_found(hub: Hub) -> None:
    with pytest.raises(NotFound, match="no public repository o/r"):
        await look(hub, "hf:o/r")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"\xff", b"[" * 100_000, b"[" + b" " * (5 << 20) + b"]", b"null"],
    ids=["empty", "html", "object", "bytes", "deep", "long", "null"],
)
async def test_an_answer_that_is_no_list_is_refused(hub: Hub, body: bytes) -> None:
    hub.list_body = body
    with pytest.raises(ModelUnavailable, match="does not answer as one"):
        await look(hub, "hf:o/r")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [b"[1, null, []]", b'[{"type": "file"}]', b'[{"type": "file", "path": 1, "size": 1}]',
     b'[{"type": "file", "path": "m.gguf", "size": "1"}]', b'[{"type": "file", "path": "m.gguf", "size": -1}]'],
)  # fmt: skip
async def test_rows_of_another_shape_are_passed_over(hub: Hub, body: bytes) -> None:
    hub.list_body = body
    with pytest.raises(NotFound, match="no GGUF model"):
        await look(hub, "hf:o/r")


@pytest.mark.anyio
async def test_a_hub_in_trouble_and_one_that_is_gone_are_told_in_words(hub: Hub) -> None:
    hub.add("o/r", "m.gguf", b"x")
    hub.list_status = 500
    with pytest.raises(ModelUnavailable, match="answered 500"):
        await look(hub, "hf:o/r")
    hub.url = "http://127.0.0.1:9"
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await look(hub, "hf:o/r")


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["http://hub.example", "ftp://127.0.0.1", "https://u:p@hub.example"])
async def test_a_hub_must_be_https_unless_it_is_this_machine(url: str) -> None:
    with pytest.raises(ModelUnavailable, match="must be https") as caught:
        async with open_client(url, "m"):
            pass
    assert "u:p" not in caught.value.message


@pytest.mark.anyio
async def test_the_licence_is_read_from_the_tags_and_may_be_missing(hub: Hub) -> None:
    ref = hub_ref("hf:o/r")
    async with open_client(hub.url, "m") as client:
        assert await licence(client, hub.url, ref) == "apache-2.0"
        hub.tags = []
        assert await licence(client, hub.url, ref) is None
        assert await licence(client, "http://127.0.0.1:9", ref) is None
