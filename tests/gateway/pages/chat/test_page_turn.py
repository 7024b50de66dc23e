"""Arguments of calls, and what waits, as a person sees them."""

from __future__ import annotations

import pytest

from agentgw.protocol.events import TurnApproval, TurnCompleted, TurnProgress, TurnToolCall, TurnToolResult
from agentgw_daemon.gateway.pages.chat.page_turn import FOOT, STATE, PageTurn, Put, shown_json

ASKED = TurnApproval(approval_id="a-1", call_id="c", tool="t", arguments={}, cwd="/w", expires_at="soon")


def last(changes: list[object], place: str) -> str:
    found = [change.html for change in changes if isinstance(change, Put) and change.place == place]
    return found[-1]


def test_nothing_in_arguments_is_unseen_or_endless() -> None:
    assert shown_json({"path": "a\u202eb\u200b"}) == '{\n  "path": "a\\u202eb\\u200b"\n}'
    assert "… and 80013 more characters" in shown_json({"x": "y" * 100_000})


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (TurnProgress(phase="queued", position=2), "place 2 in the queue"),
        (TurnProgress(phase="loading", done=1, total=4), "25 %"),
        (TurnProgress(phase="prefill"), "The prompt is read"),
        (ASKED, "It waits for your answer"),
    ],
)
def test_the_state_says_what_is_waited_for(event: TurnProgress | TurnApproval, words: str) -> None:
    assert words in last(list(PageTurn("t-1").feed([event])), STATE)


@pytest.mark.parametrize(
    ("result", "word", "answer"),
    [
        (TurnToolResult(call_id="c", ok=True, content="x"), "done", "Allowed"),
        (TurnToolResult(call_id="c", ok=False, content="x"), "failed", "Allowed"),
        (TurnToolResult(call_id="c", ok=False, content="x", denied=True), "refused", "You said no"),
    ],
)
def test_a_question_goes_when_its_call_has_a_result(result: TurnToolResult, word: str, answer: str) -> None:
    turn = PageTurn("t-1")
    turn.feed([TurnToolCall(call_id="c", tool="t", arguments={}), ASKED])
    changes = list(turn.feed([result]))
    assert word in last(changes, "call-1")
    shown = last(changes, "approval-2")
    assert answer in shown
    assert "<button" not in shown
    assert "<button" not in "".join(item.html() for item in turn.items)


def test_a_long_result_says_where_the_rest_is() -> None:
    turn = PageTurn("t-1")
    turn.feed([TurnToolCall(call_id="c", tool="t", arguments={})])
    shown = last(list(turn.feed([TurnToolResult(call_id="c", ok=True, content="y" * 20_005)])), "result-1")
    assert "5 more characters" in shown
    assert "agentgw turns show t-1" in shown


def test_a_question_that_nobody_answered_has_no_buttons_at_the_end() -> None:
    turn = PageTurn("t-1")
    turn.feed([ASKED, TurnCompleted(finish_reason="cancelled")])
    changes = list(turn.ended("<p>foot</p>"))
    assert "Nobody answered" in last(changes, "approval-1")
    assert (last(changes, STATE), last(changes, FOOT)) == ("", "<p>foot</p>")
