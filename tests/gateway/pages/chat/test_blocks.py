"""Cutting an answer into blocks: by its text alone, and with work that grows with its length."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.gateway.pages.chat.blocks import MarkdownBlocks
from agentgw_daemon.gateway.pages.chat.markdown import html_of

TEXT = """# Head

Words over
two lines.

- one
- two

  more of two
- three

| a | b |
|---|---|
| 1 | 2 |

```python
x = 1

# no heading
```

1. first

    code

> quoted
lazily

Setext
===

The end"""


def cut(pieces: list[str]) -> list[str]:
    blocks = MarkdownBlocks()
    made = [finished for piece in pieces for finished in blocks.add(piece)]
    return [*made, blocks.end()]


@given(st.lists(st.integers(1, len(TEXT)), max_size=40))
def test_whatever_the_pieces_nothing_is_lost_and_the_page_is_the_same(places: list[int]) -> None:
    at = sorted({0, *places, len(TEXT)})
    made = cut([TEXT[a:b] for a, b in pairwise(at)])
    assert "".join(made) == TEXT
    assert "".join(html_of(block, {}) for block in made) == html_of(TEXT, {})


def test_a_line_that_is_not_whole_ends_no_block() -> None:
    blocks = MarkdownBlocks()
    assert blocks.add("a\n#") == []
    assert blocks.add("b\n") == []
    assert blocks.open == "a\n#b\n"


def test_a_list_and_code_stay_open_to_their_end() -> None:
    assert cut(["- a\n\n- b\n\n", "```\n\nx\n\n", "```\n", "c\n"]) == ["- a\n\n- b\n\n", "```\n\nx\n\n```\n", "c\n"]


def test_carriage_returns_are_no_part_of_it() -> None:
    assert cut(["a\r\n\r", "\nb\r\n"]) == ["a\n\n", "b\n"]


def test_an_endless_block_is_cut_and_code_goes_on_as_code() -> None:
    blocks = MarkdownBlocks()
    made = []
    blocks.add("```python\n")
    for _ in range(3000):
        made += blocks.add("some_name = another_name + 1\n")
    assert made
    assert all(block.startswith("```python\n") for block in [*made, blocks.open])
    longest = max(len(block) for block in made)
    assert longest <= 20_000


def test_an_endless_line_is_cut_between_two_words() -> None:
    made = cut(["word " * 10_000])
    assert len(made) == 13
    assert all(block.endswith("word ") and len(block) <= 4000 for block in made)


def test_a_paragraph_is_cut_at_the_same_places_however_it_comes() -> None:
    text = "".join(f"word{number} " for number in range(2000))
    assert cut([text]) == cut([f"{word} " for word in text.split()]) == cut(list(text))


def test_a_list_and_code_are_not_cut_where_a_paragraph_is() -> None:
    for line, first in (("- an item of a list\n", ""), ("some_name = another_name + 1\n", "```python\n")):
        blocks = MarkdownBlocks()
        blocks.add(first)
        assert [finished for _ in range(400) for finished in blocks.add(line)] == []
        assert len(blocks.open) >= 8000


def test_endless_code_without_a_line_is_cut_too() -> None:
    made = cut(["```\n" + "x" * 50_000])
    assert len(made) > 2
    assert all(len(block) <= 20_000 for block in made)
    assert "".join(block.removeprefix("```\n") for block in made) == "x" * 50_000
