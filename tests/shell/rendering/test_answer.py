from __future__ import annotations

import random

import pytest

from agentgw_shell.rendering import inline
from agentgw_shell.rendering.answer import FRAME_S, AnswerView
from agentgw_shell.rendering.markdown import rendered
from agentgw_shell.rendering.spans import plain_text
from tests.shell.rendering.answers import CODE, MIXED
from tests.shell.rendering.screen_of import Scrollback, comparable


def streamed(text: str, view: AnswerView, seed: int = 1, most: int = 9) -> None:
    """The text in small pieces, three a frame or so."""
    chance, now, place = random.Random(seed), 0.0, 0
    while place < len(text):
        size = chance.randint(1, most)
        view.feed(text[place : place + size])
        place += size
        now += chance.choice((0.0, FRAME_S / 2, FRAME_S))
        view.frame(now)
    view.finish()


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("rows", [6, 24, 60])
def test_the_scrollback_is_the_answer_rendered_once(columns: int, rows: int) -> None:
    terminal = Scrollback(columns, rows)
    streamed(MIXED, AnswerView(terminal.write, columns, rows), seed=columns + rows)
    once = [comparable(plain_text(line)).rstrip() for line in rendered(MIXED, columns - 1)]
    assert [comparable(line) for line in terminal.lines()] == once


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_long_code_block_is_there_once_and_costs_little(columns: int) -> None:
    terminal = Scrollback(columns, 24)
    streamed(CODE, AnswerView(terminal.write, columns, 24), most=30)
    assert terminal.lines() == [plain_text(line).rstrip() for line in rendered(CODE, columns - 1)]
    assert len(terminal.lines()) >= 1000
    assert terminal.bytes <= 3 * len(CODE.encode())


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_at_most_three_times_the_text_is_written(columns: int) -> None:
    text = MIXED * 5
    terminal = Scrollback(columns, 24)
    streamed(text, AnswerView(terminal.write, columns, 24))
    assert terminal.bytes <= 3 * len(text.encode())


def test_frames_are_limited_and_each_is_one_write() -> None:
    terminal = Scrollback(80, 24)
    view = AnswerView(terminal.write, 80, 24)
    for tick in range(1000):
        view.feed("word ")
        view.frame(tick / 1000)
    assert 15 <= terminal.writes <= 20


@pytest.mark.parametrize("sizes", [(80, 40), (40, 80), (80, 200), (200, 40)])
def test_a_resize_in_mid_stream_loses_and_doubles_nothing(sizes: tuple[int, int]) -> None:
    before, after = sizes
    for seed in range(8):
        chance = random.Random(seed)
        # As wide as the wider one: what an emulator does to lines that no longer fit is its own affair.
        terminal = Scrollback(max(sizes), 24)
        view = AnswerView(terminal.write, before, 24)
        place, now, turn = 0, 0.0, chance.randrange(len(MIXED))
        while place < len(MIXED):
            view.feed(MIXED[place : place + 5])
            place, now = place + 5, now + FRAME_S
            view.frame(now)
            if place - 5 <= turn < place:
                view.resize(after, 24)
        view.finish()
        words = "".join(line.lstrip() for line in terminal.lines())
        once = "".join(plain_text(line).lstrip() for line in rendered(MIXED, after - 1))
        # Marks whose partner comes on the other side of the break are shown as they were written.
        drawn = str.maketrans("", "", " │─┼*`~[]()<>")
        assert comparable(words.translate(drawn)) == comparable(once.translate(drawn))


def test_a_draft_stays_below_and_leaves_no_trace() -> None:
    terminal = Scrollback(40, 24)
    view = AnswerView(terminal.write, 40, 24)
    now = 0.0
    for place in range(0, len(MIXED), 7):
        view.feed(MIXED[place : place + 7])
        view.set_below([(("", f"› draft {place}"),)] if place % 70 > 30 else [])
        now += FRAME_S
        view.frame(now)
        if place % 70 > 30:
            assert terminal.lines()[-1] == f"› draft {place}"
    view.finish()
    assert [comparable(line) for line in terminal.lines()] == [
        comparable(plain_text(line)).rstrip() for line in rendered(MIXED, 39)
    ]


@pytest.mark.parametrize("size", [(90, 24), (50, 24), (60, 10), (60, 60), (40, 3)])
@pytest.mark.parametrize("begun", ["", "A word", "First line.\n\n- second"])
def test_a_resize_takes_what_stands_below_along(size: tuple[int, int], begun: str) -> None:
    terminal = Scrollback(60, 24)
    view = AnswerView(terminal.write, 60, 24)
    view.feed(begun)
    view.set_below([(("2", "  next: and back?"),), (("", "› a draft"),)])
    view.frame(0)
    terminal.resize(*size)
    view.resize(*size)
    assert terminal.lines()[-2:] == ["  next: and back?", "› a draft"]
    view.feed(" and more.")
    view.frame(1)
    view.finish()
    lines = terminal.lines()
    assert "".join(" ".join(lines).split()) == "".join(
        " ".join(plain_text(line) for line in rendered(f"{begun} and more.", 80)).split()
    )


def test_lines_below_that_were_set_since_the_last_frame_are_not_counted_on_a_resize() -> None:
    terminal = Scrollback(60, 24)
    view = AnswerView(terminal.write, 60, 24)
    view.feed("One line.\n\nAnother")
    view.frame(0)
    view.set_below([(("2", "  next: and back?"),), (("", "› a draft"),)])
    view.resize(70, 24)
    view.finish()
    assert terminal.lines() == ["One line.", "", "Another"]


def test_a_draft_that_is_wider_than_a_narrower_screen_is_cut_and_nothing_moves() -> None:
    terminal = Scrollback(80, 24)
    view = AnswerView(terminal.write, 80, 24)
    view.feed("Before it. ")
    view.set_below([(("2", "a" * 70),), (("", "› 日本" * 10),)])
    view.frame(0)
    view.resize(30, 24)
    terminal.resize(30, 24)
    for n in range(4):
        view.feed(f"Words {n} after it was made narrower. ")
        view.frame(n + 1)
    view.finish()
    lines = terminal.lines()
    after = "".join(f"Words {n} after it was made narrower. " for n in range(4))
    start = next(n for n, line in enumerate(lines) if line.startswith("Words 0"))
    assert " ".join(lines[start:]) == after.strip()


def test_notes_stand_between_parts_of_the_answer() -> None:
    terminal = Scrollback(40, 24)
    view = AnswerView(terminal.write, 40, 24)
    view.feed("Let me **see**")
    view.frame(0)
    view.note([(("2", "  list_files()"),)])
    view.feed("There it is.")
    view.finish()
    assert terminal.lines() == ["Let me see", "  list_files()", "There it is."]


def test_the_last_tokens_of_a_long_answer_cost_no_more_than_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed, tokens_of = [0], inline._tokens

    def counted(text: str) -> object:
        parsed[0] += len(text)
        return tokens_of(text)

    monkeypatch.setattr(inline, "_tokens", counted)
    words = [("word ", "**bold** ", "`code` ", "日本語", "- item\n", "* lone ", "\n\n")[n % 7] for n in range(7000)]
    terminal = [0]
    view = AnswerView(lambda text: terminal.append(len(text)), 80, 24)
    spent = []
    for n, word in enumerate(words):
        view.feed(word)
        before = parsed[0] + sum(terminal[-2:])
        view.frame(n * FRAME_S)
        spent.append(parsed[0] - before + sum(terminal[-2:]))
    assert sum(spent[-700:]) <= 1.1 * sum(spent[700:1400])
