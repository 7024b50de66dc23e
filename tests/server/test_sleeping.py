from __future__ import annotations

import pytest
import trio

from agentgw.protocol.types import SessionId, TurnId
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.server import sleeping
from agentgw_daemon.server.sleeping import Sleeping
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio


class Bedroom:
    """Models, turns and jobs that note what is asked of them."""

    def __init__(self, turns: int = 1) -> None:
        self.did: list[str] = []
        self.broken = False
        self.hangs = False
        self.turns = [self._turn(number) for number in range(turns)]
        self.sleeping = Sleeping(self, lambda: self.turns, self.hold)

    async def pause(self) -> None:
        self._do("pause")
        if self.hangs:
            await trio.sleep_forever()

    def resume(self) -> None:
        self._do("resume")

    def hold(self, held: bool) -> None:
        self._do(f"hold {held}")

    def _do(self, what: str) -> None:
        self.did.append(what)
        if self.broken:
            raise ZeroDivisionError(what)

    def _turn(self, number: int) -> TurnState:
        async def store() -> None:
            await trio.lowlevel.checkpoint()
            self._do(f"store {number}")

        return TurnState(
            turn_id=TurnId(f"t-{number}"), session_id=SessionId("s-1"), skill="a", model="echo", stored=True,
            detached=False, store=store,
        )  # fmt: skip


async def test_no_job_starts_then_models_stand_still_then_what_they_said_is_stored() -> None:
    room = Bedroom(turns=2)
    await room.sleeping.get_ready()
    assert room.did == ["hold True", "pause", "store 0", "store 1"]
    room.sleeping.go_on()
    assert room.did[4:] == ["resume", "hold False"]


async def test_a_model_that_works_on_delays_the_sleep_for_so_long_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sleeping, "GET_READY_S", 0.05)
    caplog.set_level("INFO")
    room = Bedroom()
    room.hangs = True
    with trio.fail_after(PATIENCE_S):
        await room.sleeping.get_ready()
    assert "not all of it in time" in caplog.text


async def test_a_bug_in_one_of_them_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    room = Bedroom()
    room.broken = True
    await room.sleeping.get_ready()
    room.sleeping.go_on()
    assert room.did == ["hold True", "pause", "store 0", "resume", "hold False"]
    assert caplog.text.count("ZeroDivisionError: ") == 5


async def test_storing_a_turn_that_has_not_begun_raises_nothing() -> None:
    turn = TurnState(
        turn_id=TurnId("t-1"), session_id=SessionId("s-1"), skill="a", model="echo", stored=True, detached=False
    )
    await turn.store()
