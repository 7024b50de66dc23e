from __future__ import annotations

import pytest

from agentgw_shell.rendering.code import Highlighter
from agentgw_shell.rendering.spans import plain_text

_COMMENT = "90"


def styles(language: str, *lines: str) -> list[set[str]]:
    highlighter = Highlighter(language)
    return [{style for style, _ in highlighter.line(line)} for line in lines]


def test_a_text_over_several_lines_is_coloured_to_its_end() -> None:
    first, middle, last = styles("python", '"""one', "def two", 'three"""')
    assert first == middle == last == {"32"}


@pytest.mark.parametrize("language", ["c", "js", "java", "rust", "css", "go"])
def test_a_comment_over_several_lines_is_one(language: str) -> None:
    assert styles(language, "/* one", "int two", "three */") == [{_COMMENT}] * 3


@pytest.mark.parametrize(
    "language", ["python", "c", "json", "yaml", "html", "bash", "php", "diff", "none-such", "", "../x"]
)
def test_every_character_of_a_line_is_kept(language: str) -> None:
    highlighter = Highlighter(language)
    for line in ("a: [1, 'x']  # y", "", "  <b>é 日本</b>", "/* x", '"""', "$x = `y`;", "\\", "x" * 5000, "*/ {}"):
        assert plain_text(highlighter.line(line)) == line


def test_colours_cost_at_most_what_the_words_do_twice() -> None:
    line = Highlighter("python").line("1,2,3,4,5,6,7,8,9,10,11,12")
    assert line == (("", "1,2,3,4,5,6,7,8,9,10,11,12"),)
