"""Bounds of a turn that nobody watches, and failures that are told later as they were told at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import (
    ApprovalDenied,
    ContextOverflow,
    InternalError,
    NotFound,
    RpcError,
    SchemaUnmet,
    Timeout,
    from_wire,
)
from agentgw.protocol.types import Options
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, TextDelta
from agentgw_daemon.turns.run import failure_of
from tests.jumping import CLOCK, JUMPING
from tests.turns.house import house

pytestmark = pytest.mark.anyio

FAILURES = [
    ApprovalDenied("change was not allowed", hint="allow it", tool="change", approval_id="a-1"),
    SchemaUnmet("no JSON", text="no"), ContextOverflow("too long", prompt_tokens=9, n_ctx_tokens=8),
    NotFound("gone", kind="tool", id="x"), InternalError("a bug", error_id="e-1"),
]  # fmt: skip


async def without_end(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    yield TextDelta(texts=("half an",))
    await trio.sleep_forever()


@JUMPING
@pytest.mark.parametrize("detach", [True, False])
async def test_a_turn_ends_at_its_limit_and_keeps_its_words(tmp_path: Path, detach: bool) -> None:
    async with house(tmp_path, without_end) as h:
        turn = await h.start(timeout_s=50.0, detach=detach)
        await turn.log.wait_longer_than(1)
        CLOCK.jump(50)
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, Timeout)
        assert (outcome.message, outcome.data) == ("no answer within 50 seconds", {"timeout_s": 50.0})
        detail = await h.database.turns.detail(turn.turn_id)
        assert (detail.turn.state, detail.text) == ("failed", "half an")


async def test_who_cancels_before_the_limit_has_cancelled(tmp_path: Path) -> None:
    async with house(tmp_path, without_end) as h:
        turn = await h.start(timeout_s=1000.0, detach=True)
        await turn.log.wait_longer_than(1)
        turn.cancel()
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, TurnResult)
        assert outcome.finish_reason == "cancelled"


async def test_a_limit_that_passed_while_no_daemon_ran_ends_the_turn(tmp_path: Path) -> None:
    async with house(tmp_path, without_end) as h:
        turn = await h.start(detach=True)
        await turn.log.wait_longer_than(1)
        turn.limit(5.0, spent_s=60.0)
        assert isinstance(await turn.wait_outcome(), Timeout)


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_is_told_later_as_it_was_told_at_once(tmp_path: Path, failure: RpcError) -> None:
    async def fail(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        await trio.lowlevel.checkpoint()
        raise failure
        yield

    async with house(tmp_path, fail) as h:
        turn = await h.start()
        assert await turn.wait_outcome() is failure
        with pytest.raises(type(failure)) as later:
            await h.turns.stored_outcome(await h.database.turns.get(turn.turn_id))
        assert later.value.to_wire() == failure.to_wire()
        # So `attach` has the exit status of `run`.
        assert later.value.exit_status == failure.exit_status


async def test_a_failure_of_which_only_the_words_are_on_record_is_told_in_them(tmp_path: Path) -> None:
    async with house(tmp_path, without_end) as h:
        turn = await h.start()
        await turn.log.wait_longer_than(1)
        await h.database.turns.fail(turn.turn_id, "the disk was full")
        with pytest.raises(RpcError, match="the disk was full") as told:
            await h.turns.stored_outcome(await h.database.turns.get(turn.turn_id))
        assert told.value.exit_status == 1
        turn.cancel()


def test_nothing_is_kept_of_no_failure() -> None:
    assert failure_of(None) is None
    kept = failure_of(from_wire({"code": -32012, "message": "m", "data": {"hint": "h", "tool": "t"}}))
    assert kept is not None
    assert (kept.code, kept.data) == (-32012, {"tool": "t", "hint": "h"})


async def test_an_answer_that_nobody_watches_has_a_bound_where_nothing_gives_one(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.ask(detach=True)
        await h.ask(detach=True, options=Options(max_tokens=7))
        await h.ask()
        assert [one.options.max_tokens for one in h.engine.requests] == [4096, 7, None]
