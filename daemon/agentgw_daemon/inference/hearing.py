"""Gate for what engines say, the one way by which it comes into the daemon: valid, whatever the engine.

Halves of surrogate pairs are joined over deltas or replaced, also at the end of an answer; calls hold to the rules of
the wire or are Malformed. Whoever asks an engine for text asks through `hear`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from agentgw.protocol.errors import ModelUnavailable
from agentgw.protocol.types import Channel, Usage
from agentgw_daemon.inference.engine import (
    Engine,
    EngineEvent,
    Finished,
    GenerationRequest,
    Loading,
    Prefill,
    Queued,
    TextDelta,
)
from agentgw_daemon.text.valid import SurrogateJoiner, valid_text
from agentgw_daemon.tool_calling.answers.events import MAX_SHOWN_CHARACTERS, Malformed, ModelToolCall
from agentgw_daemon.tool_calling.answers.reading import call

Heard = Queued | Loading | Prefill | TextDelta | Finished | ModelToolCall | Malformed

# Integers that every reader of JSON has exactly, and that fit the database.
_MOST_TOKENS: Final = 2**53 - 1


@asynccontextmanager
async def hear(engine: Engine, request: GenerationRequest) -> AsyncIterator[AsyncIterator[Heard]]:
    """Streams as `Engine.stream` does, with everything that the engine says made valid."""
    async with engine.stream(request) as events, aclosing(_heard(events)) as heard:
        yield heard


def nothing_said(finished: Finished | None, *, called: bool = False) -> ModelUnavailable:
    """The error for an answer that has neither text nor a call that somebody wanted: no answer is taken for one."""
    if called:
        reason, hint = "the model called a tool where it was offered none", "ask again, or in other words"
    elif finished is not None and finished.finish_reason == "length":
        reason, hint = "the model came to no answer within its limit of tokens", "raise max_tokens"
    else:
        reason, hint = "the model ended its answer without a word", "ask again, or in other words"
    return ModelUnavailable(reason, hint=hint, reason=reason, no_answer=True)


async def _heard(events: AsyncIterator[EngineEvent]) -> AsyncGenerator[Heard, None]:
    channels: dict[Channel, SurrogateJoiner] = {}
    async for event in events:
        match event:
            case TextDelta(texts=texts, channel=channel):
                joiner = channels.setdefault(channel, SurrogateJoiner())
                if whole := tuple(filter(None, map(joiner.feed, texts))):
                    yield TextDelta(texts=whole, channel=channel)
            case ModelToolCall(name=name, arguments=arguments):
                yield _call(valid_text(name), arguments)
            case Finished():
                for delta in _ends(channels):
                    yield delta
                yield _bounded(event)
            case _:
                yield event
    for delta in _ends(channels):
        yield delta


def _ends(channels: dict[Channel, SurrogateJoiner]) -> Iterator[TextDelta]:
    """The halves that never got their other ones."""
    for channel, joiner in channels.items():
        if rest := joiner.end():
            yield TextDelta(texts=(rest,), channel=channel)


def _call(name: str, arguments: str) -> ModelToolCall | Malformed:
    text = valid_text(f"{name} {arguments}")
    if len(text) > MAX_SHOWN_CHARACTERS:
        text = f"{text[:MAX_SHOWN_CHARACTERS]}…"
    if not name:
        return Malformed(text=text, reason="the call has no name")
    return call(name, arguments, text)


def _bounded(event: Finished) -> Finished:
    usage = event.usage
    numbers = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
    if all(0 <= number <= _MOST_TOKENS for number in numbers):
        return event
    prompt, cached, completion = (min(max(number, 0), _MOST_TOKENS) for number in numbers)
    counted = Usage(prompt_tokens=prompt, cached_tokens=cached, completion_tokens=completion)
    return dataclasses.replace(event, usage=counted)
