"""The built-in model `echo`: the last user message again, a delta a word. For tests, benchmarks and plumbing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from itertools import islice
from typing import Any, Final

import trio

from agentgw.protocol.types import Timings, Usage
from agentgw_daemon.inference.engine import (
    UNLIMITED_TOKENS,
    EngineEvent,
    Finished,
    GenerationRequest,
    PromptCount,
    PromptMessage,
    TextDelta,
    as_mapping,
    text_of,
)

N_CTX_TOKENS: Final = UNLIMITED_TOKENS
# Words in one event: few enough to stay interruptible, enough that passing them on costs little.
BATCH_WORDS: Final = 64

# White space belongs to the word before it (at the start: after it), so that the pieces joined are the message.
_WORD: Final = re.compile(r"\s*\S+\s*|\s+")


class EchoEngine:
    """Needs no worker and never waits. Tokens are words; `max_tokens` and `stop` are honoured."""

    async def tool_calling(self) -> None:
        """See Engine: it says what it hears."""
        await trio.lowlevel.checkpoint()

    async def count(self, messages: Sequence[PromptMessage], tools: Sequence[Mapping[str, Any]] = ()) -> PromptCount:
        """See Engine."""
        await trio.lowlevel.checkpoint()
        text = _prompt(messages)
        return PromptCount(tokens=len(text.split()), n_ctx_tokens=N_CTX_TOKENS, text=text)

    def stream(self, request: GenerationRequest) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """See Engine."""
        return aclosing(_events(request))


async def _events(request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
    started_at = trio.current_time()
    # The prompt itself is let go at once: a slow reader may hold this generator for long.
    prompt_tokens, prompt_sha256 = _measured(_prompt(request.messages))
    words = (match.group() for match in _WORD.finditer(_answer(request)))
    wanted = islice(words, request.options.max_tokens)
    said = 0
    first_token_s = 0.0
    while batch := tuple(islice(wanted, BATCH_WORDS)):
        await trio.lowlevel.checkpoint()
        said += len(batch)
        first_token_s = first_token_s or trio.current_time() - started_at
        yield TextDelta(texts=batch)
    await trio.lowlevel.checkpoint()
    decode_s = trio.current_time() - started_at
    yield Finished(
        finish_reason="stop" if next(words, None) is None else "length",
        usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=said),
        timings=Timings(
            first_token_ms=first_token_s * 1000,
            decode_ms=decode_s * 1000,
            decode_tokens_per_s=said / decode_s if decode_s > 0 else 0.0,
        ),
        prompt_sha256=prompt_sha256,
        engine="echo",
    )


def _prompt(messages: Sequence[PromptMessage]) -> str:
    return "\n".join(map(text_of, messages))


def _measured(prompt: str) -> tuple[int, str]:
    return len(prompt.split()), hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest()


def _answer(request: GenerationRequest) -> str:
    asked = [text_of(message) for message in request.messages if as_mapping(message)["role"] == "user"]
    answer = asked[-1] if asked else ""
    cuts = [at for stop in request.options.stop or () if (at := answer.find(stop)) >= 0]
    return answer[: min(cuts)] if cuts else answer
