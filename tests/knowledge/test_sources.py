"""Names of documents and the paths behind them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.knowledge.sources import path_of, shown


@given(st.binary(min_size=1, max_size=20).filter(lambda raw: not {0, 47, 46} & set(raw)))
def test_the_address_of_any_path_leads_back_to_it(raw: bytes) -> None:
    path = "/" + os.fsdecode(raw)
    assert path_of(Path(path).as_uri()) == path
    assert path_of(path) == path
    shown(path).encode("utf-8")


def test_paths_are_without_dots_and_doubled_slashes() -> None:
    assert path_of("//home//x/../y/./z/") == "/home/y/z"
    assert path_of("file:///home/x/..//y") == "/home/y"


def test_bytes_that_are_no_text_are_shown_by_their_number() -> None:
    assert shown(os.fsdecode(b"/caf\xe9 \xc3\xa4")) == "/caf\\xe9 ä"


@pytest.mark.parametrize("name", ["stdin", "notes/a.md", "", "file://host/a", "https://example.org/a", "/a\0b"])
def test_a_mere_name_is_no_path(name: str) -> None:
    assert path_of(name) is None
