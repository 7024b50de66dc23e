"""The built-in model."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference.engine import EngineEvent, Finished, GenerationRequest, TextDelta
from agentgw_daemon.inference.engines.echo import BATCH_WORDS, EchoEngine


async def events_of(*messages: ChatMessage, options: Options | None = None) -> list[EngineEvent]:
    request = GenerationRequest(messages=messages, options=options or Options())
    async with EchoEngine().stream(request) as events:
        return [event async for event in events]


def run(text: str, **options: object) -> tuple[list[str], Finished]:
    made = Options(**options)  # type: ignore[arg-type]  # by name
    *deltas, finished = trio.run(lambda: events_of(ChatMessage(role="user", content=text), options=made))
    assert isinstance(finished, Finished)
    assert all(isinstance(delta, TextDelta) for delta in deltas)
    return [text for delta in deltas if isinstance(delta, TextDelta) for text in delta.texts], finished


def test_answer_is_the_message_a_delta_a_word() -> None:
    texts, finished = run("good  morning\nto you")
    assert texts == ["good  ", "morning\n", "to ", "you"]
    assert finished.finish_reason == "stop"
    assert finished.usage.completion_tokens == finished.usage.prompt_tokens == 4
    assert finished.timings.decode_tokens_per_s > 0


@given(st.text())
def test_answer_is_identical_to_any_message(text: str) -> None:
    assert "".join(run(text)[0]) == text


def test_last_user_message_is_the_one_repeated() -> None:
    messages = [
        ChatMessage(role="system", content="be brief"),
        ChatMessage(role="user", content="first"),
        ChatMessage(role="assistant", content="first"),
        ChatMessage(role="user", content="second"),
    ]
    first, finished = trio.run(lambda: events_of(*messages))
    assert first == TextDelta(texts=("second",))
    assert isinstance(finished, Finished)
    assert finished.usage.prompt_tokens == 5


def test_conversation_without_a_user_gets_an_empty_answer() -> None:
    (finished,) = trio.run(lambda: events_of(ChatMessage(role="system", content="be brief")))
    assert isinstance(finished, Finished)


@pytest.mark.parametrize(
    ("max_tokens", "answer", "finish_reason"), [(2, "a b ", "length"), (3, "a b c", "stop"), (9, "a b c", "stop")]
)
def test_max_tokens_counts_words(max_tokens: int, answer: str, finish_reason: str) -> None:
    texts, finished = run("a b c", max_tokens=max_tokens)
    assert "".join(texts) == answer
    assert finished.finish_reason == finish_reason


def test_earliest_stop_string_ends_the_answer() -> None:
    texts, finished = run("one, two; three", stop=(";", ","))
    assert "".join(texts) == "one"
    assert finished.finish_reason == "stop"


def test_long_answers_come_in_batches_that_can_be_cancelled_between() -> None:
    async def take_two() -> list[EngineEvent]:
        taken: list[EngineEvent] = []
        request = GenerationRequest(messages=(ChatMessage(role="user", content="w " * 1000),), options=Options())
        with trio.CancelScope() as scope:
            async with EchoEngine().stream(request) as events:
                async for event in events:
                    taken.append(event)
                    if len(taken) == 2:
                        scope.cancel()
        assert scope.cancelled_caught
        return taken

    taken = trio.run(take_two)
    assert [len(event.texts) for event in taken if isinstance(event, TextDelta)] == [BATCH_WORDS, BATCH_WORDS]


def test_count_is_in_words_and_everything_fits() -> None:
    counted = trio.run(EchoEngine().count, (ChatMessage(role="user", content="a b c"),))
    assert (counted.tokens, counted.n_ctx_tokens, counted.text) == (3, 1 << 30, "a b c")
