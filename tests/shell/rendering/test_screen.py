from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_shell.rendering.screen import Screen, tail_lines
from agentgw_shell.rendering.spans import Line, plain_text
from tests.shell.rendering.screen_of import Scrollback

_TEXTS = st.sampled_from(("", "a", "ab", "abcdefgh", "abcdefXY", "zz"))
LINES = st.lists(st.tuples(st.tuples(st.sampled_from(("", "1", "31")), _TEXTS)), max_size=4)


@settings(max_examples=200, deadline=None)
@given(frames=st.lists(st.tuples(LINES, LINES), max_size=12))
def test_the_screen_is_all_that_was_finished_and_the_last_tail(frames: list[tuple[list[Line], list[Line]]]) -> None:
    terminal, screen, done = Scrollback(40, 10), Screen(), list[str]()
    for finished, tail in frames:
        terminal.write(screen.update(finished, tail))
        done += [plain_text(line).rstrip() for line in finished]
        shown = [*done, *(plain_text(line).rstrip() for line in tail)]
        while shown and not shown[-1]:
            shown.pop()
        assert terminal.lines() == shown


def test_text_that_goes_on_is_appended_and_nothing_else_is_written() -> None:
    screen = Screen()
    screen.update([], [(("", "one"),)])
    assert screen.update([], [(("", "one two"),)]) == " two"


def test_nothing_is_cleared_and_no_region_is_set() -> None:
    screen = Screen()
    written = screen.update([], [(("", "one"),), (("", "two"),)]) + screen.update([(("", "x"),)], [])
    for sequence in ("\x1b[2J", "\x1b[J", "\x1b[H", "\x1b[?1049", "\x1b[6n", "\x1bc"):
        assert sequence not in written


def test_a_third_of_the_screen_and_twelve_lines_at_most_are_drawn_again() -> None:
    assert [tail_lines(rows) for rows in (1, 6, 24, 36, 100)] == [1, 2, 8, 12, 12]
