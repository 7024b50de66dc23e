from __future__ import annotations

from agentgw_shell.prompt.paste import Pastes


def test_a_long_paste_is_a_marker_and_comes_back() -> None:
    pastes = Pastes()
    long = "\n".join(map(str, range(30)))
    marker = pastes.shorten(long)
    assert marker == "[pasted 1: 30 lines]"
    assert pastes.shorten("x" * 2000) == "[pasted 2: 2000 characters]"
    assert pastes.expand(f"look at {marker}, please") == f"look at {long}, please"


def test_a_short_paste_stays_with_its_line_ends_as_they_are_typed() -> None:
    assert Pastes().shorten("a\r\nb\rc") == "a\nb\nc"


def test_a_marker_that_was_typed_is_text() -> None:
    assert Pastes().expand("[pasted 7: 3 lines]") == "[pasted 7: 3 lines]"
