"""Parsing of the text a user types as a reference."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.errors import AgentgwError, InvalidParams, NotFound
from agentgw_daemon.models.names.reference import (
    Builtin,
    HubRef,
    Named,
    PathRef,
    ProviderRef,
    Reference,
    parse,
)
from tests.models.references import NO_REFERENCES

PROVIDERS = ("local", "open-router")


def read(text: str) -> Reference:
    return parse(text, providers=PROVIDERS, home="/home/me")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("echo", Builtin()),
        ("smollm2:135m", Named(name="smollm2:135m")),
        ("my-model_1.5", Named(name="my-model_1.5")),
        ("x" * 64, Named(name="x" * 64)),
        ("hf:owner/repo", HubRef(owner="owner", repo="repo")),
        ("hf:owner/repo:q4_k_m", HubRef(owner="owner", repo="repo", quant="Q4_K_M")),
        ("hf:owner/repo/file.Q4_0.gguf", HubRef(owner="owner", repo="repo", file="file.Q4_0.gguf")),
        ("hf:owner/repo/sub/file.gguf", HubRef(owner="owner", repo="repo", file="sub/file.gguf")),
        ("/models/My Model é.gguf", PathRef(path="/models/My Model é.gguf")),
        ("/models/UPPER.GGUF", PathRef(path="/models/UPPER.GGUF")),
        ("~/m.gguf", PathRef(path="/home/me/m.gguf")),
        ("local/llama", ProviderRef(provider="local", model="llama")),
        ("open-router/meta/llama-3:free", ProviderRef(provider="open-router", model="meta/llama-3:free")),
        ("local/file.gguf", ProviderRef(provider="local", model="file.gguf")),
        ("local/sub/UPPER.GGUF", ProviderRef(provider="local", model="sub/UPPER.GGUF")),
        ("local//models/Mödel v1 (2).gguf", ProviderRef(provider="local", model="/models/Mödel v1 (2).gguf")),
        ("local/x", ProviderRef(provider="local", model="x")),
    ],
)
def test_references_are_understood(text: str, value: Reference) -> None:
    assert read(text) == value


@pytest.mark.parametrize("text", ["smollm2:135m", "hf:o/r", "hf:o/r:Q4_0", "hf:o/r/f.gguf", "/m.gguf", "local/m"])
def test_a_reference_is_written_as_it_is_read(text: str) -> None:
    assert read(text).name == text
    assert read(read(text).name) == read(text)


def test_a_provider_wins_over_a_file_of_the_same_path() -> None:
    assert parse("local/m.gguf", providers=PROVIDERS, cwd="/here") == ProviderRef(provider="local", model="m.gguf")
    assert parse("other/m.gguf", providers=PROVIDERS, cwd="/here") == PathRef(path="/here/other/m.gguf")


def test_a_relative_path_needs_to_know_from_where() -> None:
    assert parse("m.gguf", cwd="/here") == PathRef(path="/here/m.gguf")
    assert parse("sub/m.gguf", cwd="/here") == PathRef(path="/here/sub/m.gguf")
    assert parse("../m.gguf", cwd="/here") == PathRef(path="/here/../m.gguf")
    with pytest.raises(InvalidParams, match="absolute path"):
        parse("./m.gguf")
    with pytest.raises(InvalidParams, match="start with ~/"):
        parse("~/m.gguf")
    with pytest.raises(InvalidParams, match="start with ~/"):
        parse("~root/m.gguf", home="/home/me")


@pytest.mark.parametrize("text", NO_REFERENCES)
def test_what_is_no_reference_is_invalid(text: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        read(text)
    assert caught.value.data["path"] == "model"
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


def test_an_unknown_provider_is_not_found_with_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        read("openrouter/llama")
    assert caught.value.hint == "did you mean open-router/llama?"
    with pytest.raises(NotFound) as caught:
        read("bartowski/Llama-GGUF")
    assert "hf:bartowski/Llama-GGUF" in caught.value.hint


_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_TEXT = st.text(max_size=60) | st.text(alphabet="hf:/.~aZ09_-%\\ \x00ggu", max_size=40)


@given(_TEXT, st.sampled_from([None, "/here"]))
def test_any_text_is_a_safe_reference_or_an_error_of_ours(text: str, cwd: str | None) -> None:
    try:
        ref = parse(text, providers=PROVIDERS, cwd=cwd, home="/home/me")
    except AgentgwError as error:
        assert error.message.isprintable()  # noqa: PT017 - an error is one of the two right outcomes
        return
    match ref:
        case HubRef():
            parts = [ref.owner, ref.repo, *(ref.file or "x").split("/")]
            assert all(_PART.fullmatch(part) for part in parts)
        case Named():
            assert all(_PART.fullmatch(part) for part in ref.name.split(":"))
        case PathRef():
            assert ref.path.startswith("/")
            assert ref.path.lower().endswith(".gguf")
        case ProviderRef():
            assert ".." not in ref.model.split("/")
        case Builtin():
            assert text == "echo"
