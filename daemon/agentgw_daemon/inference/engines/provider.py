"""The engine behind an OpenAI-compatible endpoint: streamed chat completions over HTTP.

An attempt that fails before the first word is made again with backoff where that may help; after it, never: the user
has seen half an answer. Redirects are not followed, so that the API key goes nowhere else. What the bytes mean is read
by `incoming` and `chunks`, and put together by `reply`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Final

import httpx
import trio

from agentgw.protocol.errors import ModelUnavailable, RpcError
from agentgw.protocol.types import Channel, Timings, Usage
from agentgw_daemon.inference.engine import (
    UNLIMITED_TOKENS,
    EngineEvent,
    Finished,
    GenerationRequest,
    PromptCount,
    PromptMessage,
    TextDelta,
    ToolCallingMode,
    text_of,
)
from agentgw_daemon.inference.engines.chunks import ChunkContent, GaveUp, NotUnderstood
from agentgw_daemon.inference.engines.complaints import complaint_of, error_of, read_complaint, told
from agentgw_daemon.inference.engines.completions import adapted_body, encoded, request_body
from agentgw_daemon.inference.engines.endpoint_http import (
    Patience,
    bounded_body,
    is_hopeless,
    plain_bytes,
    retry_after_s,
)
from agentgw_daemon.inference.engines.incoming import Incoming, NotAnApi
from agentgw_daemon.inference.engines.reply import NoAnswer
from agentgw_daemon.inference.engines.timed_reply import TimedReply
from agentgw_daemon.inference.spec import ProviderSpec

# An endpoint's limit is not known; it says so itself when a prompt does not fit.
N_CTX_TOKENS: Final = UNLIMITED_TOKENS
# English text in the usual vocabularies.
BYTES_PER_TOKEN: Final = 4
# Beside its text an event has names and numbers; a whole answer may come as one.
_EVENT_OVERHEAD_BYTES: Final = 1 << 18
# Statuses beyond 511 come from what stands in front of endpoints: Cloudflare's, and 529 for too much to do.
_RETRY_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
# An answer may come with any other status of success.
_WITHOUT_BODY: Final = frozenset({204, 205})
# With these a server refuses what a body holds; llama.cpp's says 500 where a chat template fails.
_REFUSAL_STATUSES: Final = frozenset({400, 422, 500})
_NO_API: Final = "no API at this address, base_url should end in /v1"


class _AttemptFailed(Exception):
    """An attempt failed before its first word, and another one makes sense: after a pause, or with another body."""

    def __init__(self, error: RpcError, *, pause_s: float | None = None, body: dict[str, Any] | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause_s = pause_s
        self.body = body


class ProviderEngine:
    """Answers with a model somewhere else. The key is sent to the endpoint and shown nowhere."""

    def __init__(
        self,
        spec: ProviderSpec,
        api_key: str | None,
        client: httpx.AsyncClient,
        patience: Patience | None = None,
        *,
        max_answer_bytes: int = 1 << 20,
    ) -> None:
        self._spec = spec
        self._name = f"{spec.name}/{spec.model}"
        # A file's last line end comes along when a key is read from it.
        self._key = api_key.strip() if api_key else None
        self._client = client
        self._patience = patience or Patience()
        self._max_answer_bytes = max_answer_bytes
        self._url = spec.base_url.rstrip("/") + "/chat/completions"

    async def tool_calling(self) -> ToolCallingMode:
        """See Engine: endpoints take tools and give calls in a form of their own."""
        await trio.lowlevel.checkpoint()
        return ToolCallingMode()

    async def count(self, messages: Sequence[PromptMessage], tools: Sequence[Mapping[str, Any]] = ()) -> PromptCount:
        """An estimate: the endpoint's tokenizer is not at hand."""
        await trio.lowlevel.checkpoint()
        text = _rendered(messages, tools)
        return PromptCount(tokens=_estimate(text), n_ctx_tokens=N_CTX_TOKENS, text=text, estimated=True)

    def stream(self, request: GenerationRequest) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """See Engine. Leaving the context closes the connection, which is how an endpoint hears of it."""
        return aclosing(self._events(request))

    async def _events(self, request: GenerationRequest) -> AsyncGenerator[EngineEvent, None]:
        started_at = trio.current_time()
        body = request_body(self._spec.model, request)
        failures = 0
        while True:
            reply = TimedReply(request, self._max_answer_bytes)
            try:
                async with aclosing(self._attempt(body, reply)) as deltas:
                    async for delta in deltas:
                        yield delta
                break
            except _AttemptFailed as failed:
                if failed.body is not None:
                    body = failed.body
                    continue
                failures += 1
                await self._pause(failed, failures)
        try:
            for event in reply.close():
                yield event
        except NoAnswer as error:
            raise self._error_of(error) from None
        yield _finished(request, reply, started_at, self._spec.name)

    async def _pause(self, failed: _AttemptFailed, failures: int) -> None:
        pause_s = self._patience.first_backoff_s * 2 ** (failures - 1) if failed.pause_s is None else failed.pause_s
        if failures >= self._patience.attempts or pause_s > self._patience.max_backoff_s:
            raise failed.error from None
        await trio.sleep(pause_s)

    async def _attempt(self, body: Mapping[str, Any], reply: TimedReply) -> AsyncGenerator[TextDelta, None]:
        try:
            async with self._response(body) as response:
                if not response.is_success or response.status_code in _WITHOUT_BODY:
                    await self._refused(response, body)
                async with aclosing(self._read(response, reply)) as deltas:
                    async for delta in deltas:
                        yield delta
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if reply.complete:
                # Everything was said; how the connection ended no longer matters.
                return
            # The class says what happened where the operating system does not ("All connection attempts failed").
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            failed = self._error(f"no answer from {self._spec.base_url}: {what}")
            raise failed if reply.pieces or is_hopeless(error) else _AttemptFailed(failed) from None
        except (GaveUp, NotUnderstood, NotAnApi, NoAnswer) as error:
            if isinstance(error, NotUnderstood) and reply.complete:
                return
            raise self._error_of(error) from None
        if not reply.complete:
            ended = self._error("the endpoint ended the answer before its end")
            raise ended if reply.pieces else _AttemptFailed(ended)

    @asynccontextmanager
    async def _response(self, body: Mapping[str, Any]) -> AsyncIterator[httpx.Response]:
        """The response to a request, once its headers are there; its connection is closed in the end."""
        headers = {"content-type": "application/json"}
        if self._key:
            if not (self._key.isascii() and self._key.isprintable()):
                raise self._error("the API key holds characters that no header may have", hint=self._check_key())
            headers["authorization"] = f"Bearer {self._key}"
        request = self._client.build_request("POST", self._url, content=encoded(body), headers=headers)
        response: httpx.Response | None = None
        try:
            with trio.move_on_after(self._patience.silence_s):
                response = await self._client.send(request, stream=True)
        except UnicodeError:
            # Of the resolver, for a name with a part that is too long.
            raise self._error(f"no answer from {self._spec.base_url}: no host can have this name") from None
        if response is None:
            raise self._silent()
        try:
            yield response
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response, reply: TimedReply) -> AsyncGenerator[TextDelta, None]:
        incoming = Incoming(self._max_answer_bytes + _EVENT_OVERHEAD_BYTES)
        async with aclosing(plain_bytes(response)) as chunks:
            while not (incoming.done or reply.full or reply.told):
                chunk = await self._next(chunks, reply)
                if chunk is None:
                    break
                async with aclosing(_heard(incoming.feed(chunk), reply)) as deltas:
                    async for delta in deltas:
                        yield delta
        if not (reply.full or reply.told):
            async with aclosing(_heard(incoming.close(), reply)) as deltas:
                async for delta in deltas:
                    yield delta
            reply.done = incoming.done

    async def _next(self, chunks: AsyncIterator[bytes], reply: TimedReply) -> bytes | None:
        """The next bytes; None at the end of the body, or when only the usage is missing and does not come."""
        chunk: bytes | None = None
        started_at = trio.current_time()
        with trio.move_on_after(reply.patience_left_s(self._patience)) as scope:
            chunk = await anext(chunks, None)
        reply.waited(trio.current_time() - started_at)
        if scope.cancelled_caught and not reply.complete:
            raise self._silent()
        return chunk

    async def _refused(self, response: httpx.Response, body: Mapping[str, Any]) -> None:
        """Raises what a status means that no answer comes with."""
        status = response.status_code
        if response.is_redirect:
            raise self._error("the endpoint redirects; redirects are not followed", hint="correct its base_url")
        complaint = read_complaint(await bounded_body(response, self._patience.silence_s), secret=self._key)
        if status in _REFUSAL_STATUSES and (adapted := adapted_body(body, complaint)) is not None:
            raise _AttemptFailed(self._error("refused"), body=adapted)
        error = error_of(complaint, self._name, f"the endpoint answers {status}")
        if status in _REFUSAL_STATUSES and "tools" in body and "tool" in complaint.message.lower():
            error.hint = "run it with --no-tools if the model knows none"
        if status in (401, 403):
            error.hint = self._check_key()
        elif status in (404, 405) and not self._spec.base_url.rstrip("/").endswith("/v1"):
            error.hint = "base_url should end in /v1"
        if status in _RETRY_STATUSES and not complaint.final:
            raise _AttemptFailed(error, pause_s=retry_after_s(response.headers.get("retry-after")))
        raise error

    def _error_of(self, error: GaveUp | NotUnderstood | NotAnApi | NoAnswer) -> RpcError:
        match error:
            case GaveUp(said=said):
                return error_of(complaint_of(said, secret=self._key), self._name, "the endpoint gave up")
            case NotUnderstood(came=came):
                words = told(came, secret=self._key)
                return self._error(f"the endpoint sent {error}: {words}" if words else f"the endpoint sent {error}")
            case NotAnApi():
                words = told(str(error), secret=self._key)
                return self._error(f"{_NO_API}: it answers with a page: {words}" if words else _NO_API)
            case NoAnswer():
                words = told(error.words, secret=self._key)
                refused = self._error(f"{error}: {words}" if words else str(error), hint=error.hint)
                refused.data["no_answer"] = True
                return refused

    def _silent(self) -> ModelUnavailable:
        return self._error(f"no answer from {self._spec.base_url}: it said nothing for {self._patience.silence_s:g} s")

    def _check_key(self) -> str:
        key = self._spec.api_key_env
        return f"check {key}" if key else f"set api_key_env in [providers.{self._spec.name}]"

    def _error(self, what: str, *, hint: str = "") -> ModelUnavailable:
        text = what.replace(self._key, "***") if self._key else what
        return ModelUnavailable(f"{self._name}: {text}", hint=hint, model=self._name, reason=text)


async def _heard(pieces: Iterable[ChunkContent], reply: TimedReply) -> AsyncGenerator[TextDelta, None]:
    """Text of the pieces, neighbours joined: an endpoint that floods costs no event for each of its letters.

    What fails is raised after what came before it.
    """
    said: list[TextDelta] = []
    failure: Exception | None = None
    try:
        for piece in pieces:
            for delta in reply.take(piece):
                said.append(delta)  # extend would lose what came before it raises
            if reply.full:
                break
    except (GaveUp, NotUnderstood, NotAnApi, NoAnswer) as error:
        failure = error
    for delta in _joined(said):
        yield delta
    if failure is not None:
        raise failure


def _joined(deltas: Iterable[TextDelta]) -> Iterator[TextDelta]:
    texts: list[str] = []
    channel: Channel = "answer"
    for delta in deltas:
        if texts and delta.channel != channel:
            yield TextDelta(texts=("".join(texts),), channel=channel)
            texts = []
        channel = delta.channel
        texts += delta.texts
    if texts:
        yield TextDelta(texts=("".join(texts),), channel=channel)


def _finished(request: GenerationRequest, reply: TimedReply, started_at: float, provider: str) -> Finished:
    now = trio.current_time()
    usage = reply.usage or Usage(prompt_tokens=_estimate(_rendered(request.messages, request.tools)))
    if not usage.completion_tokens:
        usage = dataclasses.replace(usage, completion_tokens=reply.pieces)
    decode_s = now - (reply.first_at or now)
    return Finished(
        finish_reason=reply.finish_reason or "stop",
        usage=usage,
        timings=Timings(
            first_token_ms=(reply.first_at - started_at) * 1000 if reply.first_at else 0.0,
            decode_ms=decode_s * 1000,
            decode_tokens_per_s=usage.completion_tokens / decode_s if decode_s > 0 else 0.0,
        ),
        engine=f"provider {provider}",
    )


def _rendered(messages: Sequence[PromptMessage], tools: Sequence[Mapping[str, Any]]) -> str:
    """The texts of a prompt. How an endpoint shows tools to its model is its own affair."""
    return "\n".join((*(json.dumps(tool, ensure_ascii=False) for tool in tools), *map(text_of, messages)))


def _estimate(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)
