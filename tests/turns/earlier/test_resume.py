"""Turns that an earlier daemon left waiting: gone on with as if nothing had happened, or ended with a reason."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.turns import TurnStartParams
from agentgw.protocol.errors import (
    AlreadyExists,
    ApprovalDenied,
    ModelUnavailable,
    NotFound,
    ShuttingDown,
    TurnCancelled,
)
from agentgw.protocol.events import TurnApproval, TurnCompleted
from agentgw.protocol.types import Approval, ToolCall, Turn
from agentgw_daemon.approvals.queue import ApprovalQueue
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, TextDelta, ToolCallingMode, as_mapping
from agentgw_daemon.server.calls.turn_frames import turn_frames
from agentgw_daemon.storage.sessions.approvals import ApprovalOutcome
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.tool_calling.formats import Format
from agentgw_daemon.turns import manager, recorder
from tests.agent.scripted import CHANGE, answered, furnish, script
from tests.fakes import change
from tests.polling import pause, until
from tests.turns.frames import read, watched
from tests.turns.house import House, ended, finished
from tests.turns.questions import Killed, open_question, taken_up

pytestmark = pytest.mark.anyio


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    return Killed(tmp_path)


async def is_usable(h: House, session_id: str) -> bool:
    return (await h.ask(session_id=session_id)).finish_reason == "stop"


async def test_an_open_question_is_asked_again_under_its_id_and_its_call_runs_once(killed: Killed) -> None:
    async with killed.first(CHANGE, "never") as h:
        furnish(h)
        before = await h.start("do it")
        asked = await open_question(h)
        sent = await seen_now(before)
        killed.kill()
    async with killed.next("done") as (h, done):
        turn = await taken_up(h)
        assert (turn.turn_id, turn.session_id) == (before.turn_id, before.session_id)
        # At once, before the turn is back at its call.
        assert h.services.approvals.list() == (asked,)
        assert (await h.database.turns.get(turn.turn_id)).state == "waiting"
        (question,) = (event for event in turn.log.events if isinstance(event, TurnApproval))
        await turn.emit(question)
        assert turn.log.last_seq == len(sent), "it was told before"
        await h.services.approvals.answer(asked.approval_id, "allow_once")
        result = await ended(turn)
        assert (result.text, done) == ("done", ["change x"])
        frames = await watched(turn)
        assert frames[: len(sent)] == sent
        assert [frame["params"]["seq"] for frame in frames] == list(range(1, result.last_seq + 1))
        assert [frame["method"] for frame in frames][1:] == [
            "turn.tool_call", "turn.approval", "turn.tool_result", "turn.delta", "turn.completed"
        ]  # fmt: skip
        stored = await h.database.turns.detail(turn.turn_id)
        assert (stored.turn.state, stored.text, stored.tool_calls) == ("completed", "done", result.tool_calls)
        assert result.usage.prompt_tokens == 10, "both steps"
        shown = [as_mapping(message) for message in h.engine.requests[0].messages]
        assert [one["role"] for one in shown] == ["system", "user", "assistant", "tool"]
        assert (shown[1]["content"], shown[3]["content"]) == ("do it", "did x")
        assert await is_usable(h, turn.session_id)


async def seen_now(turn: TurnState) -> list[dict[str, Any]]:
    """The notifications that have been sent up to here."""
    return read(turn_frames(turn.turn_id, turn.session_id, 1, turn.log.events))


async def question_left(killed: Killed, *steps: Any, **params: Any) -> Approval:
    """A daemon is killed while the question about `change x` is open."""
    async with killed.first(*(steps or (CHANGE, "never"))) as h:
        furnish(h)
        await h.start("do it", **params)
        asked = await open_question(h)
        killed.kill()
    return asked


async def settle(h: House, approval: Approval, decision: ApprovalOutcome) -> None:
    """Stores the decision as the earlier daemon did just before it was killed."""
    (stored,) = await h.database.approvals.open_of(approval.turn_id or "")
    await h.database.approvals.settle(stored, decision)


@pytest.mark.parametrize(
    ("decision", "made"), [("allow_once", ["change x"]), ("allow_session", ["change x"]), ("deny", [])]
)
async def test_an_answer_that_was_not_acted_on_is_acted_on_once(
    killed: Killed, decision: ApprovalOutcome, made: list[str]
) -> None:
    asked = await question_left(killed)
    async with killed.next("as you like") as (h, done):
        await settle(h, asked, decision)
        turn = await taken_up(h)
        assert h.services.approvals.list() == ()
        assert ((await ended(turn)).text, done) == ("as you like", made)
        told = as_mapping(h.engine.requests[0].messages[-1])["content"]
        assert ("did not allow" in told) is (decision == "deny")
        methods = [frame["method"] for frame in await watched(turn)]
        assert methods.count("turn.approval") == methods.count("turn.tool_call") == 1


async def test_a_call_that_was_cut_off_is_never_made_again(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next("next turn") as (h, done):
        await settle(h, asked, "allow_once")
        call = ToolCall(call_id=f"{asked.turn_id}-1", tool="change", arguments={"text": "x"})
        await h.database.calls.begin(asked.turn_id or "", call)
        killed.kill(1)
    async with killed.next("next turn", number=2) as (h, done):
        await h.turns.take_up()
        assert h.turns.running == ()
        detail = await h.database.turns.detail(asked.turn_id or "")
        assert (detail.turn.state, [call.ok for call in detail.tool_calls]) == ("interrupted", [None])
        with pytest.raises(TurnCancelled, match="while change was carried out: whether it had its effect is not known"):
            await h.turns.stored_outcome(detail.turn)
        assert h.services.approvals.list() == ()
        assert await is_usable(h, asked.session_id or "")
        assert done == []


async def test_a_result_that_was_not_told_is_told_and_the_call_not_made_again(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next("done") as (h, done):
        await settle(h, asked, "allow_once")
        call = ToolCall(call_id=f"{asked.turn_id}-1", tool="change", arguments={"text": "x"})
        await h.database.calls.begin(asked.turn_id or "", call)
        await h.database.calls.end(asked.turn_id or "", replace(call, ok=True, content="did it"), untrusted=True)
        turn = await taken_up(h)
        result = await ended(turn)
        assert (result.text, done) == ("done", [])
        assert [(one.ok, one.content) for one in result.tool_calls] == [(True, "did it")]
        assert as_mapping(h.engine.requests[0].messages[-1])["content"] == "did it"


async def test_only_a_turn_that_asks_is_waiting(killed: Killed) -> None:
    gate = trio.Event()

    async def answers(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        await gate.wait()
        yield TextDelta(texts=("done",))
        yield finished()

    asked = await question_left(killed)
    async with killed.next("never") as (h, _):
        h.engine.script = answers
        await settle(h, asked, "deny")
        turn = await taken_up(h)
        assert (await h.database.turns.get(turn.turn_id)).state == "running"
        gate.set()
        await ended(turn)


async def test_a_model_that_had_not_said_a_word_is_asked_again(killed: Killed) -> None:
    async def dies(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        if len(request.messages) == 2:
            yield ModelToolCall(name="look", arguments='{"text": "a"}')
        else:
            killed.kill()
            await trio.sleep_forever()
        yield finished()

    async with killed.run(dies) as h:
        done = furnish(h)
        await h.start()
        await until(lambda: killed.kills)
        assert done == ["look a"]
    async with killed.next("done") as (h, done):
        result = await ended(await taken_up(h))
        assert (result.text, result.usage.prompt_tokens, done) == ("done", 10, [])


async def test_what_a_model_had_begun_to_answer_stays_and_the_turn_is_interrupted(
    killed: Killed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "FLUSH_S", 0.0)
    spoken = trio.Event()

    async def speaks(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        if len(request.messages) == 2:
            yield TextDelta(texts=("Let me look. ",))
            yield ModelToolCall(name="look", arguments='{"text": "a"}')
        else:
            yield TextDelta(texts=("I see",))
            spoken.set()
            await trio.sleep_forever()
        yield finished()

    async with killed.run(speaks) as h:
        furnish(h)
        turn = await h.start()
        await spoken.wait()
        while len(await h.database.log.read(turn.turn_id, turn.log.last_seq)) == 0:
            await pause()
        killed.kill()
    async with killed.next("done") as (h, done):
        await h.turns.take_up()
        detail = await h.database.turns.detail(turn.turn_id)
        assert (detail.turn.state, detail.text) == ("interrupted", "Let me look. I see")
        assert (done, h.turns.running) == ([], ())


async def test_of_several_calls_only_those_not_made_are_made(killed: Killed) -> None:
    calls = [("look", {"text": "a"}), ("nothing", {}), ("change", {"text": "x"}), ("change", {"text": "y"})]
    async with killed.first([("look", {"text": "before"})], calls, "never") as h:
        first = furnish(h)
        h.nursery.start_soon(answer_one, h)
        await h.start("do it")
        await until_asked_about(h, "y")
        killed.kill()
        assert first == ["look before", "look a", "change x"]
    async with killed.next("done") as (h, done):
        turn = await taken_up(h)
        (asked,) = h.services.approvals.list()
        assert asked.arguments == {"text": "y"}
        await h.services.approvals.answer(asked.approval_id, "allow_once")
        result = await ended(turn)
        assert done == ["change y"]
        assert [call.content for call in result.tool_calls] == ["did before", "did a", "did x", "did y"]
        told = [
            as_mapping(one)["content"] for one in h.engine.requests[0].messages if as_mapping(one)["role"] == "tool"
        ]
        assert [text[:9] for text in told] == ["did before"[:9], "did a", "error: th", "did x", "did y"]
        frames = await watched(turn)
        assert [frame["params"]["seq"] for frame in frames] == list(range(1, result.last_seq + 1))
        called = [frame["params"]["call_id"] for frame in frames if frame["method"] == "turn.tool_call"]
        told_of = [frame["params"]["call_id"] for frame in frames if frame["method"] == "turn.tool_result"]
        assert len(called) == 5
        assert sorted(set(called)) == sorted(called) == sorted(told_of)


async def answer_one(h: House) -> None:
    asked = await open_question(h)
    await h.services.approvals.answer(asked.approval_id, "allow_once")


async def until_asked_about(h: House, text: str) -> None:
    await until(lambda: any(one.arguments == {"text": text} for one in h.services.approvals.list()))


async def test_the_same_call_again_and_again_is_noticed_across_a_restart(killed: Killed) -> None:
    again = [("look", {"text": "a"})]
    async with killed.first(again, again, CHANGE, "never") as h:
        furnish(h)
        await h.start()
        await open_question(h)
        killed.kill()
    async with killed.next(again, "done") as (h, done):
        h.nursery.start_soon(answered, h, "allow_once")
        assert (await ended(await taken_up(h))).text == "done"
        h.nursery.cancel_scope.cancel()
        assert done == ["change x"]


async def test_steps_of_before_count(killed: Killed) -> None:
    await question_left(killed, max_iterations=2)
    async with killed.next([("look", {"text": "a"})]) as (h, done):
        h.nursery.start_soon(answered, h, "allow_once")
        assert (await ended(await taken_up(h))).finish_reason == "iteration_limit"
        assert (done, len(h.engine.requests)) == (["change x", "look a"], 1)
        h.nursery.cancel_scope.cancel()


@pytest.mark.parametrize("narrow", [False, True])
async def test_a_model_that_is_led_by_schemas_goes_on_too(killed: Killed, narrow: bool) -> None:
    tool_calling = ToolCallingMode(
        format=Format(name="steps", native=False, read=lambda text: (), thinks_first=None), narrow=narrow
    )
    call = json.dumps({"tool": "change", "arguments": {"text": "x"}})
    async with killed.first(call, "never") as h:
        furnish(h)
        h.engine.mode = tool_calling
        await h.start("change x", tools=("change",))
        await open_question(h)
        killed.kill()
    async with killed.next(*(() if narrow else ('{"tool": "answer"}',)), "done") as (h, done):
        h.engine.mode = tool_calling
        h.nursery.start_soon(answered, h, "allow_once")
        result = await ended(await taken_up(h))
        assert (result.text, done) == ("done", ["change x"])
        assert "did x" in json.dumps([as_mapping(one) for one in h.engine.requests[-1].messages])
        h.nursery.cancel_scope.cancel()


async def test_time_that_passed_meanwhile_is_a_no(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next("never") as (h, done):
        change(h.services, approvals=ApprovalQueue(h.database, h.services.hub, wall_clock=lambda: time.time() + 121))
        turn = await taken_up(h)
        assert isinstance(await turn.wait_outcome(), ApprovalDenied)
        assert done == []
        with pytest.raises(AlreadyExists, match="in time"):
            await h.services.approvals.answer(asked.approval_id, "allow_once")
        assert (await h.database.turns.get(turn.turn_id)).state == "failed"
        assert await is_usable(h, turn.session_id)


async def test_a_yes_from_before_the_restart_is_used_up(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next(CHANGE, "done") as (h, done):
        await settle(h, asked, "allow_once")
        turn = await taken_up(h)
        # The same call again is another one.
        again = await open_question(h)
        assert again.approval_id != asked.approval_id
        assert done == ["change x"]
        await h.services.approvals.answer(again.approval_id, "deny")
        await ended(turn)
        assert done == ["change x"]


async def test_a_grant_for_the_session_holds_across_a_restart(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next(CHANGE, "done") as (h, done):
        await settle(h, asked, "allow_session")
        assert (await ended(await taken_up(h))).text == "done"
        assert done == ["change x"] * 2


async def test_without_the_tool_that_was_asked_about_the_turn_ends_with_that(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next("never") as (h, _):
        del h.tools["change"]
        turn = await taken_up(h)
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, NotFound)
        assert outcome.message.startswith("the tool change, which the turn was about to call")
        assert (outcome.hint or "").startswith("`agentgw tools` lists")
        await is_over(h, turn, asked)


async def test_without_any_tool_the_turn_ends_with_that(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next("never") as (h, _):
        await settle(h, asked, "deny")
        h.tools.clear()
        turn = await taken_up(h)
        assert isinstance(await turn.wait_outcome(), NotFound)
        await is_over(h, turn, asked)


async def test_without_its_skill_the_turn_ends_with_that(killed: Killed) -> None:
    asked = await question_left(killed)

    async with killed.next("never") as (h, _):
        h.skills = {}
        turn = await taken_up(h)
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, NotFound)
        assert outcome.message == "there is no skill general-assistant"
        await is_over(h, turn, asked, usable=False)


async def test_without_its_model_the_turn_ends_with_that(killed: Killed) -> None:
    asked = await question_left(killed, model="there")

    async def gone(ref: str) -> Any:
        raise ModelUnavailable(f"no model {ref}", model=ref)

    async with killed.next("never") as (h, _):
        h.services.models.resolve_to_answer = gone
        turn = await taken_up(h)
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, ModelUnavailable)
        assert outcome.message == "no model there"
        await is_over(h, turn, asked, usable=False)


async def is_over(h: House, turn: TurnState, asked: Approval, *, usable: bool = True) -> None:
    """The turn has failed, and nothing of it is left waiting."""
    assert (await h.database.turns.get(turn.turn_id)).state == "failed"
    assert turn.log.events[-1] == TurnCompleted(finish_reason="failed")
    await until(lambda: not h.turns.running)
    assert h.services.approvals.list() == ()
    with pytest.raises((NotFound, AlreadyExists)):
        await h.services.approvals.answer(asked.approval_id, "allow_once")
    if usable:
        h.engine.script = script("yes")
        assert await is_usable(h, turn.session_id)


async def test_a_key_gives_the_turn_that_goes_on(killed: Killed) -> None:
    await question_left(killed, idempotency_key="k")
    async with killed.next("done") as (h, done):
        turn = await taken_up(h)
        assert await h.start("do it", idempotency_key="k") is turn
        h.nursery.start_soon(answered, h, "allow_once")
        await ended(turn)
        h.nursery.cancel_scope.cancel()
        assert done == ["change x"]


async def test_a_key_gives_its_turn_also_when_what_it_ran_on_is_gone(killed: Killed) -> None:
    asked = await question_left(killed, idempotency_key="k", model="there")
    async with killed.next("never") as (h, _):
        again = TurnStartParams(message="do it", idempotency_key="k", model="missing")
        found = await h.turns.start(again)
        assert isinstance(found, Turn)
        assert found.turn_id == asked.turn_id
        with pytest.raises(ModelUnavailable):
            await h.turns.start(replace(again, idempotency_key="another"))


async def test_whoever_attends_it_may_leave(killed: Killed) -> None:
    await question_left(killed)
    async with killed.next("done") as (h, _):
        turn = await taken_up(h)
        turn.own()
        turn.disown()
        h.nursery.start_soon(answered, h, "allow_once")
        assert (await ended(turn)).text == "done"
        h.nursery.cancel_scope.cancel()


async def test_it_can_be_cancelled_and_keeps_what_it_said(killed: Killed) -> None:
    async def talks(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("I will change it. ",))
        yield ModelToolCall(name="change", arguments='{"text": "x"}')
        yield finished()

    async with killed.run(talks) as h:
        furnish(h)
        await h.start()
        await open_question(h)
        killed.kill()
    async with killed.next("never") as (h, done):
        turn = await taken_up(h)
        h.turns.cancel(turn.turn_id)
        result = await ended(turn)
        assert (result.finish_reason, result.text, done) == ("cancelled", "I will change it. ", [])
        await until(lambda: not h.turns.running)
        assert h.services.approvals.list() == ()
        assert (await h.database.turns.get(turn.turn_id)).state == "cancelled"


async def test_a_stop_leaves_a_waiting_turn_to_the_next_daemon(killed: Killed) -> None:
    async with killed.first(CHANGE, "never") as h:
        furnish(h)
        before = await h.start()
        asked = await open_question(h)
        await h.turns.stop()
        outcome = await before.wait_outcome()
        assert isinstance(outcome, ShuttingDown)
        assert before.turn_id in outcome.hint
        assert (await h.database.turns.get(before.turn_id)).state == "waiting"
        assert h.services.approvals.list() == ()
        killed.kill()
    async with killed.next("done") as (h, done):
        turn = await taken_up(h)
        assert h.services.approvals.list() == (asked,)
        await h.services.approvals.answer(asked.approval_id, "allow_once")
        assert ((await ended(turn)).text, done) == ("done", ["change x"])
        assert (await watched(turn))[: before.log.last_seq] == await watched(before)


async def waits_again(h: House, turn: TurnState) -> None:
    """The question, once the turn is back at it, as the database has it."""
    sql = "SELECT resumption FROM turns WHERE id = ?"
    while await h.database._thread.read(lambda db: db.execute(sql, (turn.turn_id,)).fetchone()[0]) != 2:
        await pause()


async def test_a_turn_that_ended_the_daemon_that_went_on_with_it_is_interrupted(
    killed: Killed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await question_left(killed)
    monkeypatch.setattr(manager, "_BACK_AT_QUESTIONS_S", 0)
    async with killed.next("never") as (h, _):
        await taken_up(h)
        # At once: it has not come as far as its question.
        killed.kill(1)
        await h.turns.stop()
    async with killed.next("next turn", number=2) as (h, done):
        await h.turns.take_up()
        assert (h.turns.running, h.services.approvals.list()) == ((), ())
        turn = await h.database.turns.get(asked.turn_id or "")
        assert turn.state == "interrupted"
        assert turn.error == "the daemon ended while it went on with this turn, which is not tried again"
        with pytest.raises(TurnCancelled, match="not tried again"):
            await h.turns.stored_outcome(turn)
        assert await h.database.unfinished.fatal("") == ((asked.turn_id, asked.session_id),)
        assert await h.database.unfinished.fatal("9999") == ()
        assert await is_usable(h, asked.session_id or "")
        assert done == []
        assert await h.database.sessions.delete(asked.session_id or "") == (asked.session_id,)
        assert await h.database.unfinished.fatal("") == ()


async def test_a_turn_that_went_on_after_its_answer_is_not_tried_again(killed: Killed) -> None:
    async def dies(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        killed.kill(1)
        await trio.sleep_forever()
        yield finished()

    asked = await question_left(killed)
    async with killed.next("never") as (h, done):
        h.engine.script = dies
        await waits_again(h, await taken_up(h))
        await h.services.approvals.answer(asked.approval_id, "allow_once")
        await until(lambda: killed.kills != 1)
        assert done == ["change x"]
        await h.turns.stop()
    async with killed.next("never", number=2) as (h, done):
        await h.turns.take_up()
        assert (h.turns.running, done) == ((), [])
        assert (await h.database.turns.get(asked.turn_id or "")).state == "interrupted"


async def test_a_stop_leaves_a_turn_that_had_not_come_back_to_its_question(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next("never") as (h, _):
        turn = await taken_up(h)
        await h.turns.stop()
        assert isinstance(await turn.wait_outcome(), ShuttingDown)
        killed.kill(1)
    async with killed.next("done", number=2) as (h, done):
        turn = await taken_up(h)
        await h.services.approvals.answer(asked.approval_id, "allow_once")
        assert ((await ended(turn)).text, done) == ("done", ["change x"])


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE approvals SET expires_at = 'tomorrow' WHERE turn_id = ?",
        "UPDATE turn_steps SET step = '{\"text\": NaN}' WHERE turn_id = ?",
        "UPDATE turn_log SET payload = '[' WHERE seq = 1 AND turn_id = ?",
        "UPDATE turns SET options = '[[' WHERE id = ?",
        "UPDATE turns SET request = x'00' WHERE id = ?",
    ],
)
async def test_a_turn_whose_record_is_bad_costs_itself_alone(killed: Killed, sql: str) -> None:
    async with killed.first(CHANGE, CHANGE, "never") as h:
        furnish(h)
        good, bad = await h.start("do it"), await h.start("do it")
        await until(lambda: len(h.services.approvals.list()) >= 2)
        await h.turns.stop()
        await h.database._thread.write(lambda db: db.execute(sql, (bad.turn_id,)))
        killed.kill()
    async with killed.next("done") as (h, _):
        await h.turns.take_up()
        assert [turn_state.turn_id for turn_state in h.turns.running] == [good.turn_id]
        assert [one.turn_id for one in h.services.approvals.list()] == [good.turn_id]
        turn = await h.database.turns.get(bad.turn_id)
        assert turn.state == "interrupted"
        assert "could not be gone on with" in (turn.error or "")
        assert await h.database.unfinished.fatal("") == (), "it ended no daemon"
        assert await is_usable(h, turn.session_id)
        await h.turns.stop()


async def test_it_survives_one_restart_after_the_other(killed: Killed) -> None:
    asked = await question_left(killed)
    for number in (1, 2):
        async with killed.next("never", number=number) as (h, _):
            await waits_again(h, await taken_up(h))
            assert h.services.approvals.list() == (asked,)
            killed.kill(number)
            await h.turns.stop()
    async with killed.next("done", number=3) as (h, done):
        turn = await taken_up(h)
        await h.services.approvals.answer(asked.approval_id, "allow_once")
        assert ((await ended(turn)).text, done) == ("done", ["change x"])


async def test_a_turn_that_stores_nothing_is_cancelled_by_a_stop(killed: Killed) -> None:
    async with killed.first(CHANGE, "never") as h:
        furnish(h)
        turn = await h.start(ephemeral=True)
        await until(h.services.approvals.list)
        await h.turns.stop()
        assert (await ended(turn)).finish_reason == "cancelled"


async def test_a_turn_whose_log_has_holes_is_interrupted(killed: Killed) -> None:
    asked = await question_left(killed)
    async with killed.next("never") as (h, _):
        await h.database._thread.write(lambda db: db.execute("DELETE FROM turn_log WHERE seq = 1"))
        await h.turns.take_up()
        assert h.turns.running == ()
        assert (await h.database.turns.get(asked.turn_id or "")).state == "interrupted"
        assert await is_usable(h, asked.session_id or "")
