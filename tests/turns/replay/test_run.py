"""A stored turn again: with what is on record, and without a trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.turns import ReplayResult, TurnReplayParams, TurnResult
from agentgw.protocol.errors import ContextOverflow, ModelUnavailable, NotFound, SessionBusy, ShuttingDown
from agentgw.protocol.events import ReplayProgress
from agentgw.protocol.types import File, Options, Usage
from agentgw_daemon.inference.engine import (
    EngineEvent,
    Finished,
    GenerationRequest,
    Prefill,
    PromptCount,
    TextDelta,
    as_mapping,
)
from agentgw_daemon.turns.replay.run import replay
from tests.agent.delegating import requests_of, scripted_team, task, team
from tests.agent.scripted import furnish, script
from tests.fakes import FakeModels, change
from tests.turns.house import FakeEngine, House, finished, house

pytestmark = pytest.mark.anyio

GREEDY = Options(temperature=0)
LOOK, CHANGE = ("look", {"text": "a"}), ("change", {"text": "x"})


async def again(h: House, turn_id: str, told: list[ReplayProgress] | None = None, **params: Any) -> ReplayResult:
    async def tell(event: ReplayProgress) -> None:
        if told is not None:
            told.append(event)

    return await replay(h.services, TurnReplayParams(turn_id=turn_id, **params), tell)


def shown(request: GenerationRequest) -> list[Any]:
    return [as_mapping(message) for message in request.messages]


def hold(engine: FakeEngine, n_ctx_tokens: int) -> None:
    """The same model in less context."""
    count = engine.count

    async def counted(messages: Any) -> PromptCount:
        return replace(await count(messages), n_ctx_tokens=n_ctx_tokens)

    engine.count = counted  # type: ignore[method-assign]  # as another model of the same words


async def test_the_same_script_is_identical_and_nothing_is_carried_out_or_stored(tmp_path: Path) -> None:
    steps = [[LOOK, CHANGE], "done"]
    async with house(tmp_path, script(*steps)) as h:
        done = furnish(h)
        turn = await h.ask(approvals=("change",))
        assert sorted(done) == ["change x", "look a"]
        first, before = list(h.engine.requests), await h.database.statistics()
        done.clear()
        h.engine.script = script(*steps)
        result = await again(h, turn.turn_id)
        assert (result.identical, result.similarity, result.reasons) == (True, 1.0, ())
        assert [(call.tool, call.change, call.recorded) for call in result.calls] == [
            ("look", "same", True), ("change", "same", True)
        ]  # fmt: skip
        assert result.recorded == replace(result.replayed, usage=result.recorded.usage)
        assert result.prompt == "same"
        assert done == []
        second = h.engine.requests[len(first) :]
        assert [shown(request) for request in second] == [shown(request) for request in first]
        assert [request.tools for request in second] == [request.tools for request in first]
        assert [(request.fallback_seed, request.options) for request in second] == [
            (request.fallback_seed, request.options) for request in first
        ]
        assert [(request.recompute, request.cache_scope) for request in second] == [(True, "")] * 2
        after = await h.database.statistics()
        assert (after.sessions, after.turns, after.messages) == (before.sessions, before.turns, before.messages)


async def test_a_call_that_is_not_on_record_is_refused_and_told(tmp_path: Path) -> None:
    async with house(tmp_path, script([LOOK], "done")) as h:
        done = furnish(h)
        turn = await h.ask()
        done.clear()
        h.engine.script = script([("change", {"text": "evil"})], "did it")
        result = await again(h, turn.turn_id)
        assert done == []
        assert [(call.tool, call.change, call.recorded) for call in result.calls] == [
            ("look", "missing", True), ("change", "new", False)
        ]  # fmt: skip
        assert not result.identical
        assert any("the calls differ" in reason for reason in result.reasons)
        assert "was not made before" in shown(h.engine.requests[-1])[-1]["content"]


async def test_the_same_text_after_other_calls_is_not_identical(tmp_path: Path) -> None:
    async with house(tmp_path, script([LOOK], "done")) as h:
        furnish(h)
        turn = await h.ask()
        h.engine.script = script("done")
        result = await again(h, turn.turn_id)
        assert (result.similarity, result.identical) == (1.0, False)


async def test_another_answer_is_different_and_how_much_is_said(tmp_path: Path) -> None:
    async with house(tmp_path, script("one two three")) as h:
        turn = await h.ask()
        h.engine.script = script("one two four")
        result = await again(h, turn.turn_id, model="other")
        assert not result.identical
        assert 0 < result.similarity < 1
        assert (result.recorded.text, result.replayed.text) == ("one two three", "one two four")
        assert result.reasons[0] == "another model: other in place of fake"
        assert (result.recorded.model, result.replayed.model) == ("fake", "other")


async def test_the_session_is_shown_as_it_was_at_the_turn(tmp_path: Path) -> None:
    async with house(tmp_path, script("a")) as h:
        first = await h.ask("one")
        second = await h.ask("two", session_id=first.session_id)
        await h.ask("three", session_id=first.session_id)
        await again(h, second.turn_id)
        assert shown(h.engine.requests[-1]) == shown(h.engine.requests[1])
        assert [message["content"] for message in shown(h.engine.requests[-1])] == ["Be good.", "one", "a", "two"]


async def test_files_schema_options_and_own_system_text_are_those_of_the_turn(tmp_path: Path) -> None:
    async with house(tmp_path, script('"x"')) as h:
        turn = await h.ask(
            "read", files=(File(name="a.txt", text="text"),), system="Be brief.", schema={"type": "string"},
            options=Options(seed=3, max_tokens=9),
        )  # fmt: skip
        result = await again(h, turn.turn_id, skill_text="current")
        assert (result.identical, result.compared) == (True, "seed")
        first, second = h.engine.requests
        assert (shown(second), second.options, second.schema) == (shown(first), first.options, first.schema)


@pytest.mark.parametrize(("which", "text"), [("recorded", "Be good."), ("current", "Be better.")])
async def test_a_changed_skill_is_told_and_used_only_where_that_is_wanted(
    tmp_path: Path, which: str, text: str
) -> None:
    async with house(tmp_path, script("a")) as h:
        turn = await h.ask()
        h.skills["general-assistant"] = replace(h.skills["general-assistant"], instructions="Be better.")
        result = await again(h, turn.turn_id, skill_text=which)
        assert shown(h.engine.requests[-1])[0]["content"] == text
        used = "was used" if which == "current" else "was not used"
        assert result.reasons == (f"the text of skill general-assistant has changed since; the new one {used}",)


async def test_a_skill_that_is_gone_is_replayed_with_its_recorded_text(tmp_path: Path) -> None:
    async with house(tmp_path, script("a")) as h:
        turn = await h.ask()
        h.skills = {}
        result = await again(h, turn.turn_id, skill_text="current")
        assert shown(h.engine.requests[-1])[0]["content"] == "Be good."
        assert "is not there any more" in result.reasons[0]


@pytest.mark.parametrize(
    ("options", "compared"), [(Options(temperature=0), "loose"), (Options(seed=1), "seed"), (None, "loose")]
)
async def test_it_is_said_why_texts_may_be_compared(tmp_path: Path, options: Options | None, compared: str) -> None:
    async with house(tmp_path, script("a")) as h:
        turn = await h.ask(options=options)
        assert (await again(h, turn.turn_id)).compared == compared


async def test_a_turn_that_was_not_computed_anew_says_what_differed(tmp_path: Path) -> None:
    async def reusing(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=(f"answer {len(request.messages)}",))
        yield replace(finished(), usage=Usage(prompt_tokens=5, cached_tokens=3, completion_tokens=1))

    async with house(tmp_path, reusing) as h:
        first = await h.ask()
        second = await h.ask(session_id=first.session_id)
        result = await again(h, second.turn_id)
        assert (result.compared, result.identical, result.reasons) == ("loose", True, ())
        h.engine.script = script("other")
        assert (
            "took 3 tokens of its prompt from what was computed before" in (await again(h, second.turn_id)).reasons[-1]
        )


async def test_a_turn_without_a_seed_and_without_kept_tokens_may_have_shared_batches(tmp_path: Path) -> None:
    async with house(tmp_path, script("a")) as h:
        turn = await h.ask(options=GREEDY)
        h.engine.script = script("other")
        assert "ran in batches with others" in (await again(h, turn.turn_id)).reasons[-1]


async def test_an_endpoint_draws_as_it_likes(tmp_path: Path) -> None:
    async with house(tmp_path, script("a")) as h:
        turn = await h.ask()
        change(h.services, models=FakeModels(kind="provider"))
        result = await again(h, turn.turn_id)
        assert result.compared == "chance"
        assert "by chance" in result.reasons[-1]


async def test_an_answer_that_no_longer_meets_the_schema_is_a_difference(tmp_path: Path) -> None:
    async with house(tmp_path, script('"x"')) as h:
        turn = await h.ask(schema={"type": "string"})
        h.engine.script = script("no")
        result = await again(h, turn.turn_id)
        assert not result.identical
        assert "does not meet the schema" in str(result.replayed.error)


async def test_a_cancelled_turn_is_replayed_whole_and_that_is_said(tmp_path: Path) -> None:
    async def endless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("Once",))
        await trio.sleep_forever()

    async with house(tmp_path, endless) as h:
        turn = await h.start()
        await turn.log.wait_longer_than(1)
        with pytest.raises(SessionBusy, match="has not ended"):
            await again(h, turn.turn_id)
        turn.cancel()
        assert isinstance(await turn.wait_outcome(), TurnResult)
        h.engine.script = script("Once upon")
        result = await again(h, turn.turn_id)
        assert (result.identical, result.replayed.text) == (False, "Once upon")
        assert "was cancelled" in result.reasons[-1]


async def test_progress_is_told_while_it_runs(tmp_path: Path) -> None:
    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield Prefill(done=1, total=2)
        yield TextDelta(texts=("a", "b"))
        yield finished()

    async with house(tmp_path, speak) as h:
        turn = await h.ask()
        told: list[ReplayProgress] = []
        await again(h, turn.turn_id, told)
        assert [(one.replayed_turn_id, one.phase, one.done, one.total) for one in told] == [
            (turn.turn_id, "prefill", 1, 2), (turn.turn_id, "answering", 2, 2)
        ]  # fmt: skip


async def test_what_cannot_be_run_raises(tmp_path: Path) -> None:
    async with house(tmp_path, script("a")) as h:
        turn = await h.ask()
        with pytest.raises(NotFound):
            await again(h, "t-none")
        with pytest.raises(ModelUnavailable):
            await again(h, turn.turn_id, model="missing")
        h.services.current.stopping = "SIGTERM"
        with pytest.raises(ShuttingDown):
            await again(h, turn.turn_id)


async def test_in_a_smaller_context_more_of_the_session_is_left_out(tmp_path: Path) -> None:
    long = "word " * 700
    async with house(tmp_path, script("a")) as h:
        first = await h.ask(long)
        second = await h.ask(long, session_id=first.session_id)
        hold(h.engine, 1000)
        result = await again(h, second.turn_id)
        assert [message["role"] for message in shown(h.engine.requests[-1])] == ["system", "user"]
        assert "one more turn of the session was left out: the context is smaller" in result.reasons
        hold(h.engine, 100)
        with pytest.raises(ContextOverflow):
            await again(h, second.turn_id)


async def test_a_summary_stands_where_it_stood(tmp_path: Path) -> None:
    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        text = "in short" if "You summarise" in str(request.messages[0]) else "word " * 300
        yield TextDelta(texts=(text,))
        yield Finished(finish_reason="stop", usage=finished().usage, timings=finished().timings)

    async with house(tmp_path, speak) as h:
        last = await h.ask("word " * 900)
        for _ in range(5):
            last = await h.ask("word " * 300, session_id=last.session_id)
        detail = await h.database.turns.detail(last.turn_id)
        assert detail.history is not None
        assert detail.history.summary == "in short"
        original = next(one for one in reversed(h.engine.requests) if "You summarise" not in str(one.messages[0]))
        await h.ask("after", session_id=last.session_id)
        await again(h, last.turn_id)
        assert shown(h.engine.requests[-1]) == shown(original)
        assert "in short" in str(h.engine.requests[-1].messages)


async def test_cancelling_it_leaves_the_engine(tmp_path: Path) -> None:
    ended: list[bool] = []

    async def endless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        try:
            yield TextDelta(texts=("x",))
            await trio.sleep_forever()
        finally:
            ended.append(True)

    async with house(tmp_path, script("a")) as h:
        turn = await h.ask()
        h.engine.script = endless
        with trio.CancelScope() as scope:

            async def tell(event: ReplayProgress) -> None:
                scope.cancel()

            await replay(h.services, TurnReplayParams(turn_id=turn.turn_id), tell)
        assert scope.cancelled_caught
        assert ended == [True]


async def test_an_agent_is_not_sent_to_work_again(tmp_path: Path) -> None:
    steps: dict[str, Any] = {"boss": [task("worker"), "it is done"], "worker": ["worked"]}
    async with team(tmp_path, **steps) as h:
        turn = await h.ask(skill="boss")
        before = await h.database.statistics()
        h.engine.script = scripted_team(boss=steps["boss"], worker=["never"])
        result = await again(h, turn.turn_id)
        assert (result.identical, [call.tool for call in result.calls]) == (True, ["delegate_to_agent"])
        assert len(requests_of(h, "worker")) == 1
        assert await h.database.statistics() == before
