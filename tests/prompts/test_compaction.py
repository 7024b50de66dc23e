"""Summaries of old turns: when they are made, what the model is asked, and what happens when it gives none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentgw.protocol.errors import StorageUnavailable, WorkerDied
from agentgw.protocol.types import ChatMessage, Timings, Usage
from agentgw_daemon.inference.engine import EngineEvent, Finished, GenerationRequest, PromptCount, TextDelta
from agentgw_daemon.prompts import compaction
from agentgw_daemon.prompts.compaction import Compacted, Fitting, compacted, with_summary
from agentgw_daemon.prompts.prompt import EarlierTurn, Prompt, exchanges, fit
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.summaries import Summary
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd

pytestmark = pytest.mark.anyio

N_CTX = 400  # of which a quarter is the answer's, and 50 a summary's
Answer = Callable[[GenerationRequest], str]


class ScriptedEngine:
    """Counts a word as a token and answers by a function."""

    def __init__(self, answer: Answer = lambda request: "short notes", n_ctx_tokens: int = N_CTX) -> None:
        self.answer = answer
        self.n_ctx_tokens = n_ctx_tokens
        self.requests: list[GenerationRequest] = []

    async def count(self, messages: Sequence[ChatMessage], tools: object = ()) -> PromptCount:
        text = "\n".join(message.content for message in messages)
        return PromptCount(tokens=len(text.split()), n_ctx_tokens=self.n_ctx_tokens, text=text)

    @asynccontextmanager
    async def stream(self, request: GenerationRequest) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        self.requests.append(request)
        yield self._events(request)

    async def _events(self, request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        yield TextDelta(texts=("thinking",), channel="reasoning")
        yield TextDelta(texts=(self.answer(request),))
        yield Finished(finish_reason="stop", usage=Usage(), timings=Timings())


class Conversation:
    """A stored session with turns of so many words."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.session_id: str | None = None

    async def say(self, *words: int) -> None:
        for number in words:
            turn = (
                await self.database.turns.start(
                    NewTurn(message=f"q{number}", skill="s", model="m", session_id=self.session_id)
                )
            ).turn
            self.session_id = turn.session_id
            end = TurnEnd(state="completed", finish_reason="stop", text="w " * (number - 2) + f"a{number}")
            await self.database.turns.finish(turn.turn_id, end)

    async def compacted(self, engine: ScriptedEngine, message: str = "now", store: bool = True) -> Compacted:
        assert self.session_id is not None
        history = exchanges(await self.database.sessions.whole_history(self.session_id))
        fitting = Fitting(
            engine=engine, count=engine.count, model="m", session_id=self.session_id,
            database=self.database if store else None,
        )  # fmt: skip
        return await compacted(Prompt(system="sys", history=history, message=message), fitting, None)


@pytest.fixture
async def conversation(tmp_path: Path) -> AsyncIterator[Conversation]:
    async with Database.open(tmp_path) as database:
        yield Conversation(database)


def first(made: Compacted) -> str:
    return made.prompt.history[0].messages[0].content


async def test_what_fits_is_left_alone(conversation: Conversation) -> None:
    await conversation.say(50, 60, 70)
    engine = ScriptedEngine()
    made = await conversation.compacted(engine)
    assert (len(made.prompt.history), made.notice, engine.requests) == (3, None, [])


async def test_the_oldest_turns_become_a_summary_and_the_rest_stays_word_for_word(conversation: Conversation) -> None:
    await conversation.say(101, 102, 103, 50)
    engine = ScriptedEngine()
    made = await conversation.compacted(engine)
    assert made.notice == "the 2 oldest turns are shown to the model as a summary"
    assert [len(exchange.messages) for exchange in made.prompt.history] == [2, 2, 2]
    assert first(made).endswith("short notes")
    assert made.prompt.history[1].messages[0].content == "q103"
    assert (made.prompt.system, made.prompt.message) == ("sys", "now")
    fitted = await fit(made.prompt, engine.count, max_tokens=None, model="m")
    assert fitted.left_out_turns == 0


async def test_the_model_is_asked_once_greedily_and_briefly(conversation: Conversation) -> None:
    await conversation.say(101, 102, 103, 50)
    engine = ScriptedEngine()
    await conversation.compacted(engine)
    (request,) = engine.requests
    assert (request.options.temperature, request.options.max_tokens) == (0.0, N_CTX // 8)
    assert "q101" in request.messages[-1].content
    assert "a102" in request.messages[-1].content
    assert "q103" not in request.messages[-1].content
    assert "thinking" not in first(await conversation.compacted(engine))


async def test_a_stored_summary_serves_the_next_turns(conversation: Conversation) -> None:
    await conversation.say(101, 102, 103, 50)
    engine = ScriptedEngine()
    await conversation.compacted(engine)
    await conversation.say(20)
    made = await conversation.compacted(engine)
    assert len(engine.requests) == 1
    assert len(made.prompt.history) == 4
    assert made.notice is not None


async def test_the_next_summary_is_made_of_the_last_one_and_the_turns_after_it(conversation: Conversation) -> None:
    await conversation.say(101, 102, 103, 50)
    engine = ScriptedEngine(lambda request: f"notes {len(engine.requests)}")
    await conversation.compacted(engine)
    await conversation.say(104, 90)
    made = await conversation.compacted(engine)
    second = engine.requests[1].messages[-1].content
    assert "notes 1" in second
    assert "q101" not in second
    assert "q103" in second
    assert first(made).endswith("notes 2")
    session_id = conversation.session_id or ""
    # The originals are all there.
    assert len((await conversation.database.sessions.messages(session_id)).messages) == 12


@pytest.mark.parametrize("text", ["", " \n", "word " * 300])
async def test_a_summary_that_says_or_saves_nothing_changes_nothing(conversation: Conversation, text: str) -> None:
    await conversation.say(101, 102, 103, 50)
    engine = ScriptedEngine(lambda request: text)
    made = await conversation.compacted(engine)
    assert (len(made.prompt.history), made.notice) == (4, None)
    assert await conversation.database.summaries.latest(conversation.session_id or "") is None
    assert (await fit(made.prompt, engine.count, max_tokens=None, model="m")).left_out_turns > 0


async def test_a_model_that_fails_changes_nothing_and_is_logged(
    conversation: Conversation, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: GenerationRequest) -> str:
        raise WorkerDied("the worker died")

    await conversation.say(101, 102, 103, 50)
    made = await conversation.compacted(ScriptedEngine(fail))
    assert (len(made.prompt.history), made.notice) == (4, None)
    assert "not summarised by m: the worker died" in caplog.text


async def test_a_summary_that_cannot_be_stored_still_serves_its_turn(
    conversation: Conversation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: str) -> None:
        raise StorageUnavailable("the disk is full")

    await conversation.say(101, 102, 103, 50)
    monkeypatch.setattr(conversation.database.summaries, "add", full)
    assert first(await conversation.compacted(ScriptedEngine())).endswith("short notes")
    assert "the disk is full" in caplog.text


async def test_a_model_that_takes_too_long_is_not_waited_for(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SUMMARY_S", 0.0)

    class Slow(ScriptedEngine):
        async def _events(self, request: GenerationRequest) -> AsyncIterator[EngineEvent]:
            await compaction.trio.sleep_forever()
            yield TextDelta(texts=("late",))

    await conversation.say(101, 102, 103, 50)
    assert (await conversation.compacted(Slow())).notice is None


async def test_a_message_too_long_for_any_summary_asks_for_none(conversation: Conversation) -> None:
    await conversation.say(101, 102, 103)
    engine = ScriptedEngine()
    made = await conversation.compacted(engine, "word " * 380)
    assert (len(made.prompt.history), engine.requests) == (3, [])


async def test_turns_that_one_call_cannot_read_are_left_out_and_told(conversation: Conversation) -> None:
    await conversation.say(*[101] * 8, 50)
    engine = ScriptedEngine()
    made = await conversation.compacted(engine)
    assert (await engine.count(engine.requests[0].messages)).tokens <= N_CTX - N_CTX // 8
    assert made.notice is not None
    assert made.notice.endswith("not even in that")


async def test_without_a_database_nothing_is_summarised(conversation: Conversation) -> None:
    await conversation.say(101, 102, 103, 50)
    engine = ScriptedEngine()
    assert (await conversation.compacted(engine, store=False)).notice is None
    assert engine.requests == []


def test_a_summary_of_turns_that_are_not_shown_is_not_used() -> None:
    history = (EarlierTurn(messages=(ChatMessage(role="user", content="x"),), turn_id="t1"),)
    prompt = Prompt(system="", history=history, message="m")
    summary = Summary(upto_turn_id="t9", text="x", created_at="")
    assert with_summary(prompt, summary) is prompt
