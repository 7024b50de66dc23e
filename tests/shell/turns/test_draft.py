from __future__ import annotations

from agentgw_shell.prompt.paste import Pastes
from agentgw_shell.rendering.spans import plain_text
from agentgw_shell.turns.draft import Draft, Wish


def typed(draft: Draft, text: str) -> None:
    for one in text:
        draft.press(one, one)


def test_enter_queues_what_was_typed() -> None:
    draft = Draft(Pastes())
    typed(draft, "hello there")
    assert draft.press("c-m", "\r") == Wish("queue", "hello there")
    assert draft.queue == ["hello there"]
    assert draft.next_message() == "hello there"
    assert draft.next_message() is None


def test_alt_s_steers_and_alt_enter_begins_a_line() -> None:
    draft = Draft(Pastes())
    typed(draft, "a")
    draft.press("escape", "\x1b")
    assert draft.press("c-m", "\r") is None
    typed(draft, "s")
    draft.press("escape", "\x1b")
    assert draft.press("s", "s") == Wish("steer", "a\ns")
    assert draft.text == ""


def test_backspace_on_an_empty_line_takes_the_last_message_back() -> None:
    draft = Draft(Pastes())
    for text in ("one", "two"):
        typed(draft, text)
        draft.press("c-m", "\r")
    draft.press("c-h", "\x7f")
    assert (draft.text, draft.queue) == ("two", ["one"])
    draft.press("c-h", "\x7f")
    assert draft.text == "tw"


def test_blank_lines_are_not_queued() -> None:
    draft = Draft(Pastes())
    typed(draft, "  ")
    assert draft.press("c-m", "\r") is None
    assert draft.queue == []


def test_what_was_not_sent_goes_to_the_prompt() -> None:
    draft = Draft(Pastes())
    typed(draft, "one")
    draft.press("c-m", "\r")
    typed(draft, "half")
    assert draft.take() == "one\nhalf"
    assert draft.take() == ""


def test_the_lines_below_show_queue_and_line_and_fit() -> None:
    draft = Draft(Pastes())
    for text in ("a" * 100, "b\x1b[2J", "c", "d"):
        draft.text = text
        draft.press("c-m", "\r")
    draft.text = "x" * 100
    lines = [plain_text(line) for line in draft.lines(40)]
    assert lines[0] == "  1 more wait"
    assert lines[1] == "  next: b\\x1b[2J"
    assert all(len(line) < 40 for line in lines)
