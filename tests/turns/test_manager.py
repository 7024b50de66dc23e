"""Turns over a real database with an engine of the test's making: how they end, what is kept, who may watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from agentgw.protocol.calls.turns import TurnResult, TurnStartParams
from agentgw.protocol.errors import (
    ContextOverflow,
    InternalError,
    ModelUnavailable,
    NotFound,
    SessionBusy,
    ShuttingDown,
)
from agentgw.protocol.events import TurnNotice
from agentgw.protocol.records.schema import dump
from agentgw.protocol.types import File, Options, PromptFit, Turn
from agentgw_daemon.config.settings import AgentSection, Settings
from agentgw_daemon.inference.engine import (
    EngineEvent,
    GenerationRequest,
    TextDelta,
    as_mapping,
    text_of,
)
from agentgw_daemon.skills.model import LoadedSkill
from agentgw_daemon.skills.skill_set import SkillSet
from agentgw_daemon.storage.sessions.log import unpack
from agentgw_daemon.tool_calling.answers.events import ModelToolCall
from agentgw_daemon.turns import recorder
from tests.fakes import FakeProjects, change
from tests.polling import pause, until
from tests.turns.frames import read, replayed, watched
from tests.turns.house import House, Script, answer, finished, house

pytestmark = pytest.mark.anyio


async def test_a_turn_is_answered_stored_and_told(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        turn = await h.start("hi")
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, TurnResult)
        assert outcome.text == "Hello there"
        assert outcome.finish_reason == "stop"
        assert outcome.usage.prompt_tokens == 5
        frames = await watched(turn)
        assert [frame["method"] for frame in frames] == [
            "turn.started", "turn.progress", "turn.progress", "turn.progress", "turn.delta", "turn.delta",
            "turn.completed",
        ]  # fmt: skip
        assert [frame["params"]["seq"] for frame in frames] == list(range(1, 8))
        assert outcome.last_seq == 7
        detail = await h.database.turns.detail(outcome.turn_id)
        assert detail.turn.state == "completed"
        assert (detail.message, detail.text, detail.system) == ("hi", "Hello there", "Be good.")
        assert (detail.prompt_sha256, detail.engine, detail.model_sha256) == ("ab", "fake", "cd")


async def test_the_model_is_shown_system_history_and_message(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        first = await h.ask("one")
        await h.ask("two", session_id=first.session_id)
        shown = [(message.role, message.content) for message in h.engine.requests[1].messages]
        assert shown == [
            ("system", "Be good."), ("user", "one"), ("assistant", "Hello there"), ("user", "two"),
        ]  # fmt: skip


async def test_system_text_and_options_of_the_request_win(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.ask(system="Be bad.", options=Options(temperature=0.9, seed=7))
        request = h.engine.requests[0]
        assert request.messages[0].content == "Be bad."
        assert (request.options.temperature, request.options.seed, request.recompute) == (0.9, 7, True)
        await h.ask()
        assert (h.engine.requests[1].options.temperature, h.engine.requests[1].recompute) == (0.3, False)


async def test_what_a_stored_turn_computes_is_its_sessions_and_what_an_ephemeral_one_does_is_nobodys(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        first = await h.ask()
        await h.ask(session_id=first.session_id[:-2])
        await h.ask(ephemeral=True)
        assert [request.cache_scope for request in h.engine.requests] == [first.session_id, first.session_id, ""]


async def test_a_stored_turn_replays_the_same_frames_from_any_number(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        turn = await h.start()
        await turn.wait_outcome()
        frames = await watched(turn)
        stored = await h.database.turns.get(turn.turn_id)
        for from_seq in range(1, len(frames) + 2):
            assert read(await replayed(h.turns, stored, from_seq)) == frames[from_seq - 1 :]
        assert await h.turns.stored_outcome(stored) == turn.outcome
    async with house(tmp_path) as h:
        assert read(await replayed(h.turns, await h.database.turns.get(turn.turn_id))) == frames


async def test_cancelling_keeps_what_was_said(tmp_path: Path) -> None:
    async def endless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("Once", " upon"))
        await trio.sleep_forever()

    async with house(tmp_path, endless) as h:
        turn = await h.start()
        await turn.log.wait_longer_than(2)
        h.turns.cancel(turn.turn_id)
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, TurnResult)
        assert (outcome.text, outcome.finish_reason) == ("Once upon", "cancelled")
        detail = await h.database.turns.detail(turn.turn_id)
        assert (detail.turn.state, detail.text) == ("cancelled", "Once upon")
        with pytest.raises(NotFound):
            h.turns.cancel(turn.turn_id)


async def test_a_failure_is_the_outcome_and_the_text_is_kept(tmp_path: Path) -> None:
    async def fail(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("Half",))
        raise ModelUnavailable("gone", model="fake")

    async with house(tmp_path, fail) as h:
        turn = await h.start()
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, ModelUnavailable)
        assert (await watched(turn))[-1]["params"]["finish_reason"] == "failed"
        detail = await h.database.turns.detail(turn.turn_id)
        assert (detail.turn.state, detail.turn.error, detail.text) == ("failed", "gone", "Half")


async def half_said(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    yield TextDelta(texts=("Half",))
    raise ModelUnavailable("gone", model="fake")


async def unsaid(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    raise ModelUnavailable("gone", model="fake")
    yield finished()


async def wordless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    yield finished()


def never_ending(*texts: str) -> Script:
    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=texts)
        await trio.sleep_forever()

    return speak


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        (half_said, []), (unsaid, []), (wordless, []), (never_ending(), []),
        (never_ending("Half"), [("user", "first"), ("assistant", "Half")]),
    ],
)  # fmt: skip
async def test_after_a_turn_that_went_wrong_the_next_one_is_shown_a_conversation_by_turns(
    tmp_path: Path, script: Script, shown: list[tuple[str, str]]
) -> None:
    async with house(tmp_path, script) as h:
        turn = await h.start("first")
        if script not in (half_said, unsaid, wordless):
            await until(lambda: h.engine.requests and (not shown or turn.log.last_seq >= 2))
            h.turns.cancel(turn.turn_id)
        await turn.wait_outcome()
        h.engine.script = answer
        await h.ask("second", session_id=turn.session_id)
        messages = [as_mapping(message) for message in h.engine.requests[-1].messages]
        said = [(message["role"], message["content"]) for message in messages if message["role"] != "system"]
        assert said == [*shown, ("user", "second")]


async def blank(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    yield TextDelta(texts=(" ", "\n"))
    yield finished()


async def cut_short(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    yield TextDelta(texts=("hm",), channel="reasoning")
    yield replace(finished(), finish_reason="length")


async def calling_for_nothing(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
    yield ModelToolCall(name="look", arguments="{}")
    yield finished()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (wordless, "the model ended its answer without a word"),
        (blank, "the model ended its answer without a word"),
        (cut_short, "the model came to no answer within its limit of tokens"),
        (calling_for_nothing, "the model called a tool where it was offered none"),
    ],
)
async def test_a_step_with_neither_text_nor_call_is_an_error(tmp_path: Path, script: Script, message: str) -> None:
    async with house(tmp_path, script) as h:
        outcome = await (await h.start(tools=())).wait_outcome()
        assert isinstance(outcome, ModelUnavailable)
        assert outcome.message == message


async def test_a_bug_ends_the_turn_not_the_daemon(tmp_path: Path) -> None:
    async def bug(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=(str(1 / 0),))

    async with house(tmp_path, bug) as h:
        outcome = await (await h.start()).wait_outcome()
        assert isinstance(outcome, InternalError)
        assert "division" not in outcome.message
        h.engine.script = answer
        assert (await h.ask()).text == "Hello there"


async def test_a_session_has_one_turn_at_a_time(tmp_path: Path) -> None:
    async def endless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("x",))
        await trio.sleep_forever()

    async with house(tmp_path, endless) as h:
        turn = await h.start()
        for ephemeral in (False, True):
            with pytest.raises(SessionBusy) as caught:
                await h.start(session_id=turn.session_id, ephemeral=ephemeral)
            assert caught.value.data["turn_id"] == turn.turn_id
        turn.cancel()
        await turn.wait_outcome()
        h.engine.script = answer
        await h.ask(session_id=turn.session_id)


async def test_an_idempotency_key_runs_once(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        turn = await h.start(idempotency_key="k")
        again = await h.turns.start(TurnStartParams(message="hi", idempotency_key="k"))
        assert again is turn
        await turn.wait_outcome()
        stored = await h.turns.start(TurnStartParams(message="hi", idempotency_key="k"))
        assert isinstance(stored, Turn)
        assert stored.turn_id == turn.turn_id
        assert await h.turns.stored_outcome(stored) == turn.outcome
        assert len(h.engine.requests) == 1


async def test_a_retry_with_the_key_in_the_busy_session_joins_the_running_turn(tmp_path: Path) -> None:
    release = trio.Event()

    async def wait(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("x",))
        await release.wait()
        yield finished()

    async with house(tmp_path) as h:
        first = await h.ask()
        h.engine.script = wait
        turn = await h.start(session_id=first.session_id, idempotency_key="k")
        again = await h.turns.start(TurnStartParams(message="hi", session_id=first.session_id, idempotency_key="k"))
        assert again is turn
        release.set()


async def test_an_ephemeral_turn_leaves_nothing_but_can_be_watched(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        turn = await h.start(ephemeral=True)
        await turn.wait_outcome()
        await wait_all_tasks_blocked()
        assert h.turns.find(turn.turn_id) is turn
        assert len(await watched(turn)) == 7
        statistics = await h.database.statistics()
        assert (statistics.sessions, statistics.turns, statistics.messages) == (0, 0, 0)


async def test_only_the_latest_ephemeral_turns_are_remembered(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        first = await h.start(ephemeral=True)
        await first.wait_outcome()
        for _ in range(40):
            await (await h.start(ephemeral=True)).wait_outcome()
        await wait_all_tasks_blocked()
        assert h.turns.find(first.turn_id) is None


async def test_a_running_turn_is_found_by_its_session(tmp_path: Path) -> None:
    async def endless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("x",))
        await trio.sleep_forever()

    async with house(tmp_path, endless) as h:
        turn = await h.start()
        assert h.turns.find(turn.session_id) is turn
        turn.cancel()


async def test_what_is_said_reaches_the_disk_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("Once", " upon"))
        await trio.sleep_forever()

    monkeypatch.setattr(recorder, "FLUSH_S", 0.0)
    async with house(tmp_path, endless) as h:
        turn = await h.start()
        stored = await h.database.turns.get(turn.turn_id)
        methods: list[str] = []
        while methods != ["turn.started", "turn.delta", "turn.delta"]:
            await pause()
            methods = [frame["method"] for frame in read(await replayed(h.turns, stored))]
        assert (await h.database.turns.get(turn.turn_id)).state == "running"
        turn.cancel()


async def test_a_long_session_is_trimmed_and_says_so(tmp_path: Path) -> None:
    async def long(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        # Asked for a summary it has nothing to say, so that turns are left out.
        if text_of(request.messages[0]) == "Be good.":
            yield TextDelta(texts=("word " * 1500,))
        yield finished()

    async with house(tmp_path, long) as h:
        session = (await h.ask()).session_id
        for _ in range(3):
            await h.ask(session_id=session)
        turn = await h.start(session_id=session)
        await turn.wait_outcome()
        notices = [frame["params"] for frame in await watched(turn) if frame["method"] == "turn.notice"]
        assert [notice["code"] for notice in notices] == ["context_trimmed"]
        assert "tokens" in notices[0]["text"]
        assert h.engine.requests[-1].messages[0].role == "system"
        assert len(h.engine.requests[-1].messages) == 2 + 2 * 2


async def test_the_oldest_turns_of_a_long_session_are_summarised_and_nothing_of_them_is_lost(tmp_path: Path) -> None:
    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(
            texts=("word " * 1500 if text_of(request.messages[0]) == "Be good." else "They spoke of words.",)
        )
        yield finished()

    async with house(tmp_path, speak) as h:
        session = (await h.ask()).session_id
        for _ in range(3):
            await h.ask(session_id=session)
        turn = await h.start(session_id=session)
        await turn.wait_outcome()
        notices = [frame["params"]["code"] for frame in await watched(turn) if frame["method"] == "turn.notice"]
        assert notices == ["context_compacted"]
        assert any("They spoke of words." in text_of(message) for message in h.engine.requests[-1].messages)
        assert len((await h.database.sessions.messages(session, limit=100)).messages) == 10


async def test_a_message_that_cannot_fit_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        outcome = await (await h.start("word " * 5000)).wait_outcome()
        assert isinstance(outcome, ContextOverflow)
        assert h.engine.requests == []


async def test_a_dry_run_shows_the_prompt_and_stores_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        result = await h.turns.dry_run(TurnStartParams(message="hi there"))
        assert result.text == "<system>Be good.\n<user>hi there"
        assert result.usage.prompt_tokens == 4
        assert (await h.database.statistics()).turns == 0


async def test_a_dry_run_counts_each_part(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        session = (await h.ask("one two")).session_id
        params = TurnStartParams(message="and now", session_id=session, files=(File(name="a.txt", text="x y"),))
        result = await h.turns.dry_run(params)
        assert result.parts is not None
        # The fake's marker and the first word of a message are one token.
        assert [(part.name, part.tokens) for part in result.parts] == [
            ("template", 4), ("skill general-assistant", 1), ("earlier turns", 2), ("message", 1), ("file a.txt", 5),
        ]  # fmt: skip
        assert sum(part.tokens for part in result.parts) == result.usage.prompt_tokens
        assert result.fit == PromptFit(n_ctx_tokens=4096)
        (part,) = ((await h.turns.dry_run(replace(params, system="Be bad."))).parts or ())[1:2]
        assert part.name == "system"


async def test_a_dry_run_leaves_out_what_the_turn_leaves_out(tmp_path: Path) -> None:
    async def long(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        # Asked for a summary it has nothing to say, so that turns are left out.
        if text_of(request.messages[0]) == "Be good.":
            yield TextDelta(texts=("word " * 1500,))
        yield finished()

    async with house(tmp_path, long) as h:
        session = (await h.ask()).session_id
        for _ in range(3):
            await h.ask(session_id=session)
        result = await h.turns.dry_run(TurnStartParams(message="hi", session_id=session))
        turn = await h.start(session_id=session)
        await turn.wait_outcome()
        sent = await h.engine.count(h.engine.requests[-1].messages)
        assert (result.text, result.usage.prompt_tokens) == (sent.text, sent.tokens)
        assert result.fit is not None
        assert (result.fit.left_out_turns, result.fit.left_out_tokens > 3000) == (2, True)
        (notice,) = (frame["params"] for frame in await watched(turn) if frame["method"] == "turn.notice")
        assert f"2 oldest turns ({result.fit.left_out_tokens} tokens)" in notice["text"]


async def test_a_dry_run_fails_where_the_turn_would_and_says_which_part_is_large(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        session = (await h.ask()).session_id
        with pytest.raises(ContextOverflow) as caught:
            await h.turns.dry_run(TurnStartParams(message="word " * 5000, session_id=session))
        outcome = await (await h.start("word " * 5000, session_id=session)).wait_outcome()
        assert isinstance(outcome, ContextOverflow)
        parts = caught.value.data.pop("parts")
        assert (caught.value.message, caught.value.data) == (outcome.message, outcome.data)
        assert [part["name"] for part in parts] == ["template", "skill general-assistant", "message"]
        assert sum(part["tokens"] for part in parts) == outcome.data["prompt_tokens"]


async def test_the_result_of_a_turn_has_nothing_of_a_dry_run(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        assert {"parts", "fit"} & dump(await h.ask()).keys() == set()


async def test_no_turn_starts_while_stopping(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.services.current.stopping = "another file was put in its place"
        with pytest.raises(ShuttingDown, match=r"^the daemon is stopping: another file was put in its place$"):
            await h.start()


async def test_a_model_that_is_not_there_stores_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        with pytest.raises(ModelUnavailable):
            await h.start(model="missing")
        assert (await h.database.statistics()).turns == 0


async def test_stopping_ends_all_turns_and_keeps_their_text(tmp_path: Path) -> None:
    async def endless(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("x",))
        await trio.sleep_forever()

    async with house(tmp_path, endless) as h:
        turns = [await h.start() for _ in range(20)]
        for turn in turns:
            await turn.log.wait_longer_than(1)
        await h.turns.stop()
        for turn in turns:
            assert isinstance(turn.outcome, TurnResult)
            assert turn.outcome.text == "x"
        assert h.turns.running == ()


async def test_the_next_turn_tells_what_happened_meanwhile(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.services.notices.append(TurnNotice(code="storage_recovered", text="it was damaged"))
        first, second = await h.start(), await h.start()
        await first.wait_outcome()
        await second.wait_outcome()
        assert "turn.notice" in [frame["method"] for frame in await watched(first)]
        rows = await h.database.log.read(first.turn_id)
        assert [event.seq for row in rows for event in unpack(row)] == list(range(1, first.log.last_seq + 1))
        assert "turn.notice" not in [frame["method"] for frame in await watched(second)]


def _auto(house: House) -> None:
    skills = {
        name: LoadedSkill(name=name, description=text, tier="user", path="x", instructions=f"Be {name}.")
        for name, text in (("general-assistant", "Anything."), ("gardener", "Plants roses."))
    }
    house.configure(Settings(agent=AgentSection(default_skill="auto")))
    change(house.services, projects=FakeProjects(lambda: SkillSet(skills=skills)))


async def test_auto_takes_the_skill_that_fits_a_new_session_and_says_so(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        _auto(h)
        turn = await h.start("when do I plant a rose?")
        assert turn.skill == "gardener"
        assert turn.log.events[0] == TurnNotice(code="routed", text="skill gardener (words: plant, rose)")
        assert isinstance(await turn.wait_outcome(), TurnResult)


async def test_auto_changes_neither_a_session_nor_what_was_asked_for(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        _auto(h)
        first = await h.start("plant a rose", skill="general-assistant")
        await first.wait_outcome()
        second = await h.start("plant a rose", session_id=first.session_id)
        await second.wait_outcome()
        for turn in (first, second):
            assert turn.skill == "general-assistant"
            assert not any(isinstance(event, TurnNotice) for event in turn.log.events)
