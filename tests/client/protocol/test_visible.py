from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.visible import MOST_BLANKS, MOST_INDENT, escaped, harmless, is_seen, pattern

# One of each kind: what is invisible or passes for a blank.
UNSEEN = {
    "C0": "\x00\x07\x08\x0b\x0c\r\x1b\x1f", "DEL and C1": "\x7f\x80\x85\x9b\x9f", "soft hyphen": "\xad",
    "grapheme joiner": "\u034f", "Hangul fillers": "\u115f\u1160\u3164\uffa0", "Khmer vowels": "\u17b4\u17b5",
    "Mongolian": "\u180b\u180e\u180f", "zero width": "\u200b\u200c\u200d\u2060\ufeff",
    "invisible operators": "\u2061\u2064",
    "direction": "\u061c\u200e\u200f\u202a\u202e\u2066\u2069\u206a\u206f", "separators": "\u2028\u2029",
    "spaces": "\xa0\u1680\u2000\u2007\u200a\u202f\u205f\u3000", "Braille blank": "\u2800",
    "selectors": "\ufe00\ufe0e\ufe0f\U000e0100\U000e01ef", "annotations": "\ufff9\ufffb\ufffc",
    "hieroglyph controls": "\U00013430\U0001343f\U00013441", "shorthand": "\U0001bca0", "music": "\U0001d159\U0001d173",
    "tags": "\U000e0001\U000e0020\U000e0041\U000e007f", "private use": "\ue000\uf8ff\U000f0000\U0010fffd",
    "unassigned": "\u0378\U000e0fff\U0003fffe", "surrogates": "\ud800\udcff",
}  # fmt: skip


@pytest.mark.parametrize("kind", UNSEEN)
def test_nothing_invisible_is_left(kind: str) -> None:
    for one in UNSEEN[kind]:
        assert not is_seen(one)
        code = ord(one)
        spelled = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
        assert escaped(f"a{one}b") == escaped(f"a{one}b", lines=True) == f"a{spelled}b"


def test_every_control_separator_and_format_is_escaped() -> None:
    for code in range(0x110000):
        one = chr(code)
        if one != " " and unicodedata.category(one) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"):
            assert not is_seen(one), hex(code)


def test_letters_marks_and_symbols_of_any_script_are_left_alone() -> None:
    for text in (
        "übung naïve é",
        "获取天气 漢字 ひらがな",
        "हिन्दी",
        "עברית العربية",
        "🙂 ⚠ ❤ ½ €",
        "e\u0301",
        "C:\\dir",
    ):
        assert escaped(text) == harmless(text) == text


def test_an_emoji_of_several_code_points_stays_whole_in_an_answer_and_is_spelled_out_before_a_decision() -> None:
    for text in ("❤️", "👩‍💻", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣"):
        assert harmless(text) == text
        assert all(map(is_seen, escaped(text)))


def test_what_moves_the_cursor_or_turns_text_around_is_escaped_in_an_answer() -> None:
    assert harmless("a\x1b[2J\x07b\tc\r\nd\x9b\u202e\u2066\x7f\u2028") == (
        "a\\x1b[2J\\x07b\tc\\x0d\nd\\x9b\\u202e\\u2066\\x7f\\u2028"
    )


def test_blanks_that_push_text_out_of_sight_are_counted() -> None:
    assert escaped("ls" + " " * 300 + "; rm x") == "ls\\x20{300}; rm x"
    assert escaped(" " * MOST_BLANKS + "x") == " " * MOST_BLANKS + "x"
    assert escaped("a\n" + " " * MOST_INDENT + "b\tc", lines=True) == "a\n" + " " * MOST_INDENT + "b\tc"
    assert escaped("a" + " \t" * 30 + "b", lines=True) == "a" + "\\x20{1}\\t{1}" * 30 + "b"
    assert escaped("\t" * 40, lines=True) == "\\t{40}"


def test_a_line_has_no_line_ends() -> None:
    assert escaped("a\nb\tc") == "a\\nb\\tc"


def test_text_that_is_escaped_already_stays_as_it_is() -> None:
    once = escaped("x\u200b" + " " * 40 + "\\y", distinct=True)
    assert escaped(once) == once


@given(
    st.text(st.sampled_from(" \t\n\\x20{}\u200b1ab\x1b"), max_size=60),
    st.text(st.sampled_from(" \t\n\\x20{}\u200b1ab\x1b")),
)
def test_different_texts_look_different(one: str, other: str) -> None:
    for lines in (False, True):
        assert (escaped(one, lines=lines, distinct=True) == escaped(other, lines=lines, distinct=True)) == (
            one == other
        )


def test_the_pattern_is_the_table() -> None:
    found = re.compile(f"[{pattern()}]")
    for kind in UNSEEN.keys() - {"spaces", "private use", "unassigned", "surrogates"}:
        assert all(map(found.match, UNSEEN[kind])), kind
    assert not any(map(found.match, "a\t\n \\ü漢🙂"))
