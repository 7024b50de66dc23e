"""Declarations of strangers' tools, made fit to be shown."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.tools.declared import (
    MAX_DESCRIPTION,
    DeclarationRefused,
    checked_effect,
    checked_name,
    fit_name,
    plain_text,
    preview,
)


@given(st.text())
def test_every_text_becomes_a_name(text: str) -> None:
    assert re.fullmatch("[a-z0-9_]{1,64}", fit_name(text))
    assert checked_name(fit_name(text)) == fit_name(text)


def test_long_names_stay_apart() -> None:
    one, other = fit_name("x" * 100 + "1"), fit_name("x" * 100 + "2")
    assert one != other
    assert len(one) == len(other) == 64
    assert fit_name("My-Server__read.File") == "my_server__read_file"


def test_names_in_other_scripts_stay_apart_and_keep_what_can_be_kept() -> None:
    assert fit_name("écrire") == "ecrire"
    names = ["获取天气", "查询地图", "get_天气", "get_地图", "погода", "날씨", "🚀", "🛑"]
    made = [fit_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[2].startswith("get_")
    assert made == [fit_name(name) for name in names]


@given(st.text(max_size=50), st.integers(1, 30))
def test_plain_text_is_one_bounded_printable_line(text: str, most: int) -> None:
    made = plain_text(text, most)
    assert len(made) <= most
    assert made.isprintable()


def test_plain_text_keeps_what_can_be_read() -> None:
    assert plain_text("Reads\n\ta \x1b[31mfile\u202e ü 猫\u200b.") == "Reads a [31mfile ü 猫 ."
    assert plain_text("x" * 5000) == "x" * (MAX_DESCRIPTION - 1) + "…"
    assert plain_text({"no": "text"}) == ""


def test_effects() -> None:
    assert checked_effect(None, "command") == "command"
    assert checked_effect("read", "command") == "read"
    with pytest.raises(DeclarationRefused, match="must be one of none, read, write, command, network"):
        checked_effect(["read"], "command")


def test_a_preview_shows_what_cannot_be_seen() -> None:
    made = preview("x\x1b[2J", {"a": "\u202e\r"})
    assert made.title == "x\\x1b[2J"
    assert json.loads(made.details[0].removeprefix("arguments: ")) == {"a": "\u202e\r"}
    assert made.details[0].isprintable()
