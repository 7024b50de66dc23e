"""Inference as a turn sees it: one request in, one stream of events out, whatever computes the answer.

Engines are the built-in echo, OpenAI-compatible endpoints and llama.cpp workers. Does no I/O.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Channel, ChatMessage, FinishReason, Options, Timings, Usage
from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall
from agentgw_daemon.tool_calling.formats import Format

# The context of what sets itself no limit, or none that is known.
UNLIMITED_TOKENS: Final = 1 << 30


# A message with a role and a text, or any as chat templates and endpoints take it: with calls, or a tool's result.
PromptMessage = ChatMessage | Mapping[str, Any]


@record
class GenerationRequest:
    """One completion. `options` are already merged; what is None is the engine's default."""

    messages: tuple[PromptMessage, ...]
    options: Options
    # The functions that the model may call, as chat templates and OpenAI-compatible endpoints take it.
    tools: tuple[Mapping[str, Any], ...] = ()
    # Control tokens that do not end the answer are text: some of them mark calls.
    special: bool = False
    # True: compute the whole prompt anew, because reused prefixes change the last bits of the arithmetic
    # and an explicit seed promises the same text.
    recompute: bool = False
    # Drawn beforehand, so that it is on record: the seed where the options have none.
    fallback_seed: int | None = None
    # In whose name keys and values may be kept on disk: a session's id. Nothing is kept without one.
    cache_scope: str = ""
    # The system message is a skill's own text: what it takes may be kept for all sessions.
    skill: bool = False
    # Nobody waits at a screen: computed while no other request wants to.
    background: bool = False
    # Nobody reads the answer before its end: its text comes in few pieces, and prompts of others do not wait for it.
    whole: bool = False
    # Of a message that somebody types: in the background it has all threads, where others leave a core to the user.
    draft: bool = False
    # The schema that the answer has to meet. An engine that cannot constrain its model answers as it can: whoever asks
    # for a schema looks at the answer (`structured.verify`).
    schema: Mapping[str, Any] | None = None


@record
class Queued:
    """The request waits for a slot; sent again whenever the position changes."""

    position: int  # from 1


@record
class Loading:
    """The model is being loaded; zeros are unknown."""

    done: int = 0
    total: int = 0


@record
class Prefill:
    """Prompt tokens computed so far."""

    done: int
    total: int


@record
class TextDelta:
    """New text: one string a token piece, several may travel together."""

    texts: tuple[str, ...]
    channel: Channel = "answer"


@record
class Finished:
    """The last event of a stream that did not fail."""

    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    prompt_sha256: str | None = None
    engine: str | None = None
    model_sha256: str | None = None


# A call comes from an endpoint's model, as it was sent until `hearing.hear` has looked at it; Malformed: one that was
# cut off. Workers' calls come as text, for a format to read.
EngineEvent = Queued | Loading | Prefill | TextDelta | ModelToolCall | Malformed | Finished


@record
class ToolCallingMode:
    """Way in which a model calls tools. Without a `format` its calls come as `ModelToolCall`."""

    format: Format | None = None
    # True when it is so small that it cannot choose among tools.
    narrow: bool = False


@record
class PromptCount:
    """Length of a prompt. `text` is the prompt as rendered for the model."""

    tokens: int
    n_ctx_tokens: int  # UNLIMITED_TOKENS where no limit is known
    text: str
    estimated: bool = False


class Engine(Protocol):
    """Maker of answers. Its methods raise the RPC errors of `agentgw.protocol.errors`."""

    async def tool_calling(self) -> ToolCallingMode | None:
        """The way in which its model calls tools, None if it cannot; loads the model where that is needed."""

    async def count(self, messages: Sequence[PromptMessage], tools: Sequence[Mapping[str, Any]] = ()) -> PromptCount:
        """Render and count a prompt without running it; loads the model where that is needed."""

    def stream(self, request: GenerationRequest) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """The request's events, ended by Finished.

        Pull: the producer waits while nobody iterates. Leaving the context cancels what still runs.
        """


def as_mapping(message: PromptMessage) -> dict[str, Any]:
    """The message as templates and endpoints take it."""
    if isinstance(message, ChatMessage):
        return {"role": message.role, "content": message.content}
    return dict(message)


def text_of(message: PromptMessage) -> str:
    """The text of a message, without calls."""
    content = message.content if isinstance(message, ChatMessage) else message.get("content")
    return content if isinstance(content, str) else ""
