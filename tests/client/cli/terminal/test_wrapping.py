from __future__ import annotations

import random

import pytest

from agentgw.cli.terminal.wrapping import WordWrap, broken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three four\n", "one two three\nfour\n"),
        ("exactly fourteen\n", "exactly\nfourteen\n"),
        ("fourteen cells", "fourteen cells"),
        ("\n\none\n", "\n\none\n"),
        # A list's item, a numbered one and a quotation go on below their text, a paragraph below its indent.
        ("- one two three four", "- one two\n  three four"),
        ("10. one two three", "10. one two\n    three"),
        ("> one two three four", "> one two\n  three four"),
        ("  one two three four", "  one two\n  three four"),
        ("- a\n    - one two three", "- a\n    - one two\n      three"),
        # What means something as it is.
        ("```\none two three four\n```\none two three four", "```\none two three four\n```\none two three\nfour"),
        ("~~~ sh\n```\none two three four\n~~~", "~~~ sh\n```\none two three four\n~~~"),
        ("| one | two | three |", "| one | two | three |"),
        ("    one two three four", "    one two three four"),
        # No line has room for it: whoever copies it gets one piece.
        ("see https://example.org/abc now", "see https://example.org/abc\nnow"),
        # Two cells a character, and no line begins with the mark that ends a sentence.
        ("报销流程需要提交发票。谢谢", "报销流程需要提\n交发票。谢谢"),
        ("报销流程需要提。谢谢", "报销流程需要\n提。谢谢"),
        ("🙂🙂🙂🙂 🙂🙂🙂🙂", "🙂🙂🙂🙂\n🙂🙂🙂🙂"),
        ("a\tb\tc", "a\tb\nc"),
        ("", ""),
    ],
)
def test_lines_are_broken_between_words(text: str, expected: str) -> None:
    assert broken(text, 14) == expected


@pytest.mark.parametrize("text", ["| one two three", "    one two three", "~~~ one two three"])
def test_lines_of_ours_are_broken_whatever_they_begin_with(text: str) -> None:
    assert max(map(len, broken(text, 12, markdown=False).splitlines())) <= 12


def test_a_hanging_indent_takes_at_most_half_of_the_line() -> None:
    assert broken("      - one two", 12) == "      - one\ntwo"


def test_a_word_is_held_back_until_its_end_is_known() -> None:
    wrap = WordWrap(lambda: 9)
    assert [wrap.feed(part) for part in ("one t", "wo", " thr", "ee")] == ["one", "", " two", ""]
    assert wrap.is_within_line
    assert wrap.flush() == "\nthree"
    assert wrap.feed("\n") == "\n"
    assert not wrap.is_within_line


def test_a_line_end_takes_the_word_before_it_along() -> None:
    wrap = WordWrap(lambda: 9)
    assert wrap.feed("half") == ""
    assert wrap.is_within_line
    assert wrap.feed("\n") == "half\n"


def test_a_word_that_fits_nowhere_is_not_waited_for() -> None:
    wrap = WordWrap(lambda: 30)
    assert wrap.feed("a" * 31) == "a" * 31
    assert wrap.feed("b c") == "b"
    # Its last two characters are on the next line of the terminal, where there is room.
    assert wrap.flush() == " c"


def test_another_width_holds_from_then_on() -> None:
    widths = iter([20, 20, 20, 7, 7, 7])
    wrap = WordWrap(lambda: next(widths, 7))
    assert wrap.feed("one two ") + wrap.feed("three four five") + wrap.flush() == "one two\nthree\nfour\nfive"


PARTS = (
    "a", "word", "```", "~~~", "- x", "10. ", "\n", "\n\n", "  ", "    ", "\t", "|", "报销", "。", "x" * 50, "`code`",
    ">", "http://" + "y" * 30,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_pieces_come_out_as_the_whole_does_and_nothing_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    columns = chance.choice([1, 5, 20, 40])
    text = "".join(chance.choice(PARTS) + chance.choice(["", " ", "\n"]) for _ in range(40))
    whole = broken(text, columns)
    assert "".join(whole.split()) == "".join(text.split())
    wrap, rest, found = WordWrap(lambda: columns), text, ""
    while rest:
        size = chance.randint(1, 9)
        found += wrap.feed(rest[:size])
        rest = rest[size:]
    assert found + wrap.flush() == whole
