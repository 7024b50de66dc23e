"""The scrollback of a second terminal emulator, whose lines break anew when its window gets another size."""

from __future__ import annotations

import random

import pytest

from agentgw_shell.rendering.answer import FRAME_S, AnswerView
from agentgw_shell.rendering.markdown import rendered
from agentgw_shell.rendering.spans import plain_text
from tests.shell.emulators.xterm import Xterm, needs_xterm
from tests.shell.emulators.xterm import xterm as xterm
from tests.shell.rendering.answers import CODE, MIXED
from tests.shell.rendering.screen_of import comparable

pytestmark = needs_xterm


def streamed(xterm: Xterm, text: str, columns: int, most: int, rows: int = 24) -> None:
    """The text as it comes from a model, on a screen of its own."""
    xterm.open(columns, rows)
    view = AnswerView(xterm.write, columns, rows)
    chance, now, place = random.Random(columns), 0.0, 0
    while place < len(text):
        size = chance.randint(1, most)
        view.feed(text[place : place + size])
        place, now = place + size, now + FRAME_S
        view.frame(now)
    view.finish()


def once(text: str, columns: int) -> list[str]:
    return [comparable(plain_text(line)).rstrip() for line in rendered(text, columns - 1)]


@pytest.mark.parametrize(("text", "most"), [(MIXED, 12), (CODE, 120)], ids=["of all kinds", "a thousand lines of code"])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_scrollback_is_the_answer_rendered_once(xterm: Xterm, columns: int, text: str, most: int) -> None:
    streamed(xterm, text, columns, most)
    assert [comparable(line) for line in xterm.lines()] == once(text, columns)


@pytest.mark.parametrize("sizes", [(80, 40), (40, 80), (200, 40)])
def test_a_resize_in_mid_stream_doubles_nothing_and_loses_what_the_emulator_cuts_off(
    xterm: Xterm, sizes: tuple[int, int]
) -> None:
    before, after = sizes
    for seed in range(3):
        turn = random.Random(seed).randrange(len(MIXED))
        xterm.open(before, 24)
        view = AnswerView(xterm.write, before, 24)
        for number, place in enumerate(range(0, len(MIXED), 9)):
            view.feed(MIXED[place : place + 9])
            view.frame(number * FRAME_S)
            if place <= turn < place + 9:
                xterm.resize(after, 24)
                view.resize(after, 24)
        view.finish()
        drawn = str.maketrans("", "", " │─┼*`~[]()<>")
        words = "".join(line.lstrip() for line in xterm.lines())
        text = "".join(line.lstrip() for line in once(MIXED, after))
        # It leaves the line that the cursor is on as it was, without what is beyond the new edge.
        assert missing(comparable(words.translate(drawn)), text.translate(drawn)) <= max(before - after, 0)


def missing(words: str, text: str) -> int:
    """The number of characters that the words lack in one place of the text; there is no other difference."""
    same = next((n for n, (one, other) in enumerate(zip(words, text, strict=False)) if one != other), len(words))
    assert text.endswith(words[same:])
    return len(text) - len(words)
