from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentgw_daemon.workers.retrieval.reading.values import CountTokens, ReadingLimits, Unreadable
from tests.workers.retrieval.reading.counting import COUNTERS, by_bytes, by_pieces, by_words
from tests.workers.retrieval.reading.reads import assert_covers, assert_sound, read_text

# One name a block parser.
NAMES = ("a.txt", "a.md", "a.rst", "a.py", "a.go", "a.csv", "a.toml", "a.json")

_MARKS = [
    *("# One", "## Two", "Title", "=====", "-----", "```", "~~~python", "- item", "1. item", "<!-- a", "-->", "---"),
    *(
        "def f(x):",
        "    return x",
        "class A:",
        "    def m(self): pass",
        "@decorator",
        "func main() {",
        "}",
        "[section]",
    ),
    *('a,b,"c', 'd"', "key = 1", "NAME", "   indented", ".. code-block:: c", "Example::", "今日は。いい天気。"),
    *("A sentence. Another one! And e.g. a third? Yes.", "| a | b |", "|---|---|", "word " * 60, "x" * 300, "", ""),
]
_LINES = st.one_of(st.text(max_size=120), st.sampled_from(_MARKS))
TEXTS = st.lists(_LINES, max_size=60).map("\n".join)


def fits(text: str) -> bool:
    """Tells whether it is not refused as binary, and has no codes of a terminal, which are left out."""
    return not re.search("[\0-\x07\x0e-\x19\x1b-\x1f\x7f]", text) and not text.startswith(("\ufeff", "%PDF", "PK"))


@given(
    text=TEXTS.filter(fits), name=st.sampled_from(NAMES), count=st.sampled_from(COUNTERS), chunk=st.integers(8, 60),
    overlap=st.integers(0, 20),
)  # fmt: skip
@example(text="a\r\rb\r\n\rc", name="a.md", count=by_pieces, chunk=8, overlap=0)
@example(text=". . . . . . . .\n" * 9, name="a.txt", count=by_pieces, chunk=8, overlap=7)
@example(text="x" + " " * 200 + "y", name="a.txt", count=by_bytes, chunk=8, overlap=2)
@settings(max_examples=400, deadline=None)
def test_chunks_of_any_text_cover_it_in_order_and_within_limits(
    text: str, name: str, count: CountTokens, chunk: int, overlap: int
) -> None:
    limits = ReadingLimits(chunk_tokens=chunk, overlap_tokens=overlap)
    _, pieces = read_text(name, text, limits=limits, count=count)
    assert_sound(pieces, limits, count)
    assert_covers(pieces, text.encode())


def repeated(text: str, length: int = 100_000) -> str:
    return (text * (length // len(text) + 1))[:length]


HOSTILE = {
    "null bytes": repeated("a\0" + "b" * 70),
    "quotations": repeated("> "),
    "lists": repeated("- a\n"),
    "fences": repeated("```\n"),
    "parentheses": repeated("("),
    "brackets": repeated("[["),
    "quotation marks": repeated('"'),
    "records": repeated('"a",b\n'),
    "empty lines": repeated("\n"),
    "spaces": repeated(" ") + "a",
    "full stops": repeated("."),
    "sentences": repeated(". "),
    "underlines": repeated("a\n===\n"),
    "adornments": repeated("===\n"),
    "table": repeated("|a"),
    "comments": repeated("<!--"),
    "functions": repeated("def f():\n    pass\n"),
    "nested classes": "".join(" " * depth + "class A:\n" for depth in range(99)),
    "nested expressions": "x = " + repeated("-") + "1",
    "combining letters": repeated("a\u0301"),
    "four bytes a letter": repeated("\U0001f600"),
    "old line ends": repeated("a\r"),
    "line separators": repeated("\u2028"),
}


def assert_cut_in_proportion(text: str, name: str) -> None:
    """Checks that it is sound, and that no more is counted than some times its length: deterministic, unlike a
    clock.
    """
    counted = 0

    def count(texts: Sequence[str]) -> list[int]:
        nonlocal counted
        counted += sum(map(len, texts))
        return by_pieces(texts)

    limits = ReadingLimits()
    _, pieces = read_text(name, text, limits=limits, count=count)
    assert_sound(pieces, limits, by_pieces)
    assert_covers(pieces, text.encode())
    # Once in units, a few times where these had to be cut finer, once in chunks with what they repeat.
    assert counted <= 12 * len(text) + 1000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_cut_with_work_in_proportion_to_its_length(kind: str, name: str) -> None:
    assert_cut_in_proportion(HOSTILE[kind], name)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.py"])
def test_a_megabyte_in_one_line_is_cut(name: str) -> None:
    assert_cut_in_proportion(repeated("a", 1_000_000), name)
    assert_cut_in_proportion(repeated("word ", 1_000_000), name)


def test_a_hundred_thousand_headings_are_cut() -> None:
    assert_cut_in_proportion("# h\n" * 100_000, "a.md")


def test_a_chunk_stands_under_its_headings() -> None:
    text = (
        "# Guide\n\nWelcome.\n\n## Install\n\n### Linux\n\n"
        + "Use the package. " * 30
        + "\n\n## Use\n\n"
        + "Run it. " * 40
    )
    _, pieces = read_text("guide.md", text, limits=ReadingLimits(chunk_tokens=60, overlap_tokens=10))
    paths = [piece.title_path for piece in pieces]
    assert "Guide > Install > Linux" in paths
    assert "Guide > Use" in paths
    assert paths == sorted(paths, key=["Guide", "Guide > Install > Linux", "Guide > Use"].index)


def test_of_a_long_path_the_first_and_the_last_titles_are_kept() -> None:
    text = "".join(f"{'#' * level} {'Title ' * 12}{level}\n\n" for level in range(1, 7)) + "Text."
    _, [piece] = read_text("a.md", text)
    first, *_, last = piece.title_path.split(" > ")
    assert len(piece.title_path) <= 160
    assert first.endswith("Title 1")
    assert last.endswith("Title 6")
    assert " > … > " in piece.title_path


def test_a_heading_stays_with_what_follows_it() -> None:
    text = (
        "A first paragraph of some words here. " * 8
        + "\n\n## Next\n\nIts own text, which is long enough to be full. " * 1
    )
    _, pieces = read_text("a.md", text + "More of it. " * 20, limits=ReadingLimits(chunk_tokens=40, overlap_tokens=0))
    [with_heading] = [piece for piece in pieces if "## Next" in piece.text]
    assert "Its own text" in with_heading.text
    assert not any(piece.text.rstrip().endswith("## Next") for piece in pieces)


def test_small_sections_share_a_chunk_below_what_they_have_in_common() -> None:
    text = "# Colours\n\n" + "".join(f"## {name}\n\nIt is {name}.\n\n" for name in ("red", "green", "blue"))
    _, pieces = read_text("a.md", text)
    [piece] = pieces
    assert piece.title_path == "Colours"
    assert piece.text == text.strip()


def test_chunks_overlap_by_whole_sentences() -> None:
    sentences = [f"This is sentence number {number} of them." for number in range(40)]
    _, pieces = read_text("a.txt", " ".join(sentences), limits=ReadingLimits(chunk_tokens=60, overlap_tokens=20))
    assert len(pieces) > 3
    for before, after in itertools.pairwise(pieces):
        shared = before.text[after.first_byte - before.first_byte :]
        assert shared
        assert all(sentence in sentences for sentence in shared.replace(". ", ".|").split("|"))
        assert by_pieces([shared])[0] <= 20


def test_a_section_begins_without_a_part_of_the_last() -> None:
    text = "# A\n\n" + "Words of the first section. " * 20 + "\n\n# B\n\n" + "Words of the second one. " * 20
    _, pieces = read_text("a.md", text, limits=ReadingLimits(chunk_tokens=50, overlap_tokens=15))
    second = [piece for piece in pieces if piece.title_path == "B"]
    assert second[0].text.startswith("# B")


@pytest.mark.parametrize("block", ["```\n" + "call(a, b)\n" * 8 + "```", "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 6])
def test_code_and_tables_are_whole_when_they_fit(block: str) -> None:
    before = "Some words that come before it. " * 8
    _, pieces = read_text("a.md", f"{before}\n\n{block}\n\nAnd after. {before}", limits=ReadingLimits(chunk_tokens=80))
    assert any(block in piece.text for piece in pieces)


def test_what_is_too_long_is_cut_at_spaces_if_there_are_any() -> None:
    _, pieces = read_text("a.txt", "letters " * 400, limits=ReadingLimits(chunk_tokens=20, overlap_tokens=0))
    assert {word for piece in pieces for word in piece.text.split()} == {"letters"}


def test_a_word_without_end_does_not_make_one_chunk() -> None:
    _, pieces = read_text("a.txt", "x" * 100_000, count=by_words)
    assert max(len(piece.text) for piece in pieces) <= 200 * 16


def test_indentation_of_code_is_kept() -> None:
    code = "class A:\n" + "".join(f"    def method_{n}(self):\n        return {n}\n\n" for n in range(40))
    _, pieces = read_text("a.py", code, limits=ReadingLimits(chunk_tokens=40))
    assert all(piece.text.startswith(("class", "    def")) for piece in pieces)


def test_more_chunks_than_allowed_are_refused() -> None:
    with pytest.raises(Unreadable, match="more than the 10 chunks"):
        read_text("a.txt", "word " * 10_000, limits=ReadingLimits(max_chunks=10))


def test_a_document_without_text_has_no_chunks() -> None:
    for text in ("", "\n\n", " \t "):
        assert read_text("a.md", text)[1] == []
