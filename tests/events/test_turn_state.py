"""The state of a running turn: bound to the connection that started it, unless detached."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.events import TurnDelta
from agentgw.protocol.types import SessionId, TurnId
from agentgw_daemon.events.turn_state import TurnState
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


def make(*, detached: bool = False) -> TurnState:
    return TurnState(
        turn_id=TurnId("t-1"), session_id=SessionId("s-1"), skill="k", model="m", stored=True, detached=detached
    )


def result(turn: TurnState) -> TurnResult:
    return TurnResult(turn_id=turn.turn_id, session_id=turn.session_id, last_seq=turn.log.last_seq)


async def test_the_owner_leaving_cancels_an_attended_turn_and_frees_it() -> None:
    turn = make()
    turn.own()
    turn.disown()
    assert turn.scope.cancel_called
    with trio.fail_after(PATIENCE_S):
        await turn.log.append(*(TurnDelta(text="x") for _ in range(5000)))


async def test_the_owner_leaving_a_detached_turn_changes_nothing() -> None:
    turn = make(detached=True)
    turn.own()
    turn.disown()
    assert not turn.scope.cancel_called


async def test_leaving_after_the_end_cancels_nothing() -> None:
    turn = make()
    turn.own()
    turn.end(result(turn))
    turn.disown()
    assert not turn.scope.cancel_called


async def test_the_end_ends_whoever_watches_or_waits() -> None:
    turn = make()
    waited: list[object] = []

    async def wait() -> None:
        waited.append(await turn.wait_outcome())

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(turn.log.next_events, 1)
            await trio.testing.wait_all_tasks_blocked()
            turn.end(result(turn))
    assert waited == [await turn.wait_outcome()] == [result(turn)]
