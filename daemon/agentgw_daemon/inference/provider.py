"""The engine behind an OpenAI-compatible endpoint: streamed chat completions over HTTP.

An attempt that fails before the first token is made again with backoff; after it, never: the user has seen
half an answer. Redirects are not followed, so that the API key goes nowhere else.
"""

from __future__ import annotations

import email.utils
import json
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Final

import httpx
import trio

import agentgw
from agentgw.errors import ModelUnavailable, RpcError
from agentgw.schema import record
from agentgw.types import FinishReason, Timings, Usage
from agentgw_daemon.inference.completions import (
    CallPieces,
    EventStream,
    MalformedStream,
    Piece,
    adapted_body,
    complaint_of,
    error_of,
    read_chunk,
    read_complaint,
    request_body,
)
from agentgw_daemon.inference.engine import (
    UNLIMITED_TOKENS,
    Calling,
    Delta,
    EngineEvent,
    Finished,
    Message,
    PromptCount,
    Request,
    text_of,
)
from agentgw_daemon.inference.spec import ProviderSpec

# An endpoint's limit is not known; it says so itself when a prompt does not fit.
N_CTX_TOKENS: Final = UNLIMITED_TOKENS
# English text in the usual vocabularies.
BYTES_PER_TOKEN: Final = 4
MAX_ERROR_BYTES: Final = 1 << 16
_RETRY_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})


@record
class Patience:
    """How long to wait for an endpoint, in seconds. `silence_s` covers the prefill of a long prompt."""

    connect_s: float = 10.0
    silence_s: float = 300.0
    attempts: int = 4
    first_backoff_s: float = 0.5
    # An endpoint that wants a longer pause than this gets none: the user is told instead.
    max_backoff_s: float = 30.0


def open_client(patience: Patience | None = None) -> httpx.AsyncClient:
    """The connections to all endpoints. The caller closes it."""
    patience = patience or Patience()
    return httpx.AsyncClient(
        timeout=httpx.Timeout(patience.silence_s, connect=patience.connect_s, pool=patience.connect_s),
        follow_redirects=False,
        # Compressed event streams arrive in lumps.
        headers={"accept-encoding": "identity", "user-agent": f"agentgw/{agentgw.__version__}"},
    )


class _AttemptFailed(Exception):
    """Nothing was said yet and another attempt makes sense: after a pause, or with another body."""

    def __init__(self, error: RpcError, *, pause_s: float | None = None, body: dict[str, Any] | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause_s = pause_s
        self.body = body


class _Answer:
    """What the endpoint has said so far."""

    def __init__(self) -> None:
        self.first_at = 0.0
        self.pieces = 0
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.done = False
        self.calls = CallPieces()

    @property
    def complete(self) -> bool:
        return self.done or self.finish_reason is not None

    def add(self, piece: Piece) -> list[Delta]:
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.usage = piece.usage or self.usage
        self.calls.add(piece.calls)
        if piece.texts or piece.calls:
            self.pieces += 1
            self.first_at = self.first_at or trio.current_time()
        return [Delta(texts=(text,), channel=channel) for channel, text in piece.texts]


class ProviderEngine:
    """Answers with a model somewhere else. The key is sent to the endpoint and shown nowhere."""

    def __init__(
        self,
        spec: ProviderSpec,
        api_key: str | None,
        client: httpx.AsyncClient,
        patience: Patience | None = None,
    ) -> None:
        self._spec = spec
        self._name = f"{spec.name}/{spec.model}"
        self._key = api_key
        self._client = client
        self._patience = patience or Patience()
        self._url = spec.base_url.rstrip("/") + "/chat/completions"

    async def calling(self) -> Calling:
        """See Engine: endpoints take tools and give calls in a form of their own."""
        await trio.lowlevel.checkpoint()
        return Calling()

    async def count(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> PromptCount:
        """An estimate: the endpoint's tokenizer is not at hand."""
        await trio.lowlevel.checkpoint()
        # How an endpoint renders tools is its own affair.
        text = "\n".join((*(json.dumps(tool, ensure_ascii=False) for tool in tools), *map(text_of, messages)))
        return PromptCount(tokens=_estimate(text), n_ctx_tokens=N_CTX_TOKENS, text=text, estimated=True)

    def stream(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """See Engine. Leaving the context closes the connection, which is how an endpoint hears of it."""
        return aclosing(self._events(request))

    async def _events(self, request: Request) -> AsyncGenerator[EngineEvent, None]:
        started_at = trio.current_time()
        body = request_body(self._spec.model, request)
        failures = 0
        while True:
            answer = _Answer()
            try:
                async with aclosing(self._attempt(body, answer)) as deltas:
                    async for delta in deltas:
                        yield delta
                break
            except _AttemptFailed as failed:
                if failed.body is not None:
                    body = failed.body
                    continue
                failures += 1
                await self._pause(failed, failures)
        for called in answer.calls.complete():
            yield called
        yield _finished(request, answer, started_at, self._spec.name)

    async def _pause(self, failed: _AttemptFailed, failures: int) -> None:
        pause_s = self._patience.first_backoff_s * 2 ** (failures - 1) if failed.pause_s is None else failed.pause_s
        if failures >= self._patience.attempts or pause_s > self._patience.max_backoff_s:
            raise failed.error from None
        await trio.sleep(pause_s)

    async def _attempt(self, body: Mapping[str, Any], answer: _Answer) -> AsyncGenerator[Delta, None]:
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            async with self._client.stream("POST", self._url, json=body, headers=headers) as response:
                if response.status_code != 200:
                    await self._refused(response, body)
                async with aclosing(self._read(response, answer)) as deltas:
                    async for delta in deltas:
                        yield delta
        except (httpx.HTTPError, httpx.InvalidURL, MalformedStream) as error:
            if answer.complete:
                # Everything was said; how the connection ended no longer matters.
                return
            failed = self._unavailable(error)
            if answer.pieces or isinstance(error, MalformedStream | httpx.InvalidURL | httpx.UnsupportedProtocol):
                raise failed from None
            raise _AttemptFailed(failed) from None
        if not answer.complete:
            cut = self._error_text("the endpoint ended the answer before its end")
            raise cut if answer.pieces else _AttemptFailed(cut)

    async def _read(self, response: httpx.Response, answer: _Answer) -> AsyncGenerator[Delta, None]:
        events = EventStream()
        async with _unwound(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                for data in events.feed(chunk):
                    for delta in self._understand(data, answer):
                        yield delta
                if answer.done:
                    return
        for data in events.close():
            for delta in self._understand(data, answer):
                yield delta

    def _understand(self, data: bytes, answer: _Answer) -> list[Delta]:
        if data.strip() == b"[DONE]":
            answer.done = True
            return []
        piece = read_chunk(data)
        if piece.error is not None:
            complaint = complaint_of(piece.error, secret=self._key)
            raise error_of(complaint, self._name, "the endpoint gave up")
        return answer.add(piece)

    async def _refused(self, response: httpx.Response, body: Mapping[str, Any]) -> None:
        """Raises what a status other than 200 means."""
        status = response.status_code
        if response.is_redirect:
            raise self._error_text("the endpoint redirects; redirects are not followed", hint="correct its base_url")
        complaint = read_complaint(await _bounded_body(response), secret=self._key)
        if status in (400, 422) and (adapted := adapted_body(body, complaint)) is not None:
            raise _AttemptFailed(self._error_text("refused"), body=adapted)
        error = error_of(complaint, self._name, f"the endpoint answers {status}")
        if status in (401, 403):
            key = self._spec.api_key_env
            error.hint = f"check {key}" if key else f"set api_key_env in [providers.{self._spec.name}]"
        if status in _RETRY_STATUSES:
            raise _AttemptFailed(error, pause_s=_retry_after_s(response.headers.get("retry-after")))
        raise error

    def _unavailable(self, error: Exception) -> ModelUnavailable:
        if isinstance(error, MalformedStream):
            return self._error_text(f"the endpoint sent {error}")
        # The class says what happened where the operating system does not ("All connection attempts failed").
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return self._error_text(f"no answer from {self._spec.base_url}: {what}")

    def _error_text(self, what: str, *, hint: str = "") -> ModelUnavailable:
        text = what.replace(self._key, "***") if self._key else what
        return ModelUnavailable(f"{self._name}: {text}", hint=hint, model=self._name, reason=text)


def _finished(request: Request, answer: _Answer, started_at: float, provider: str) -> Finished:
    now = trio.current_time()
    first_at = answer.first_at or now
    usage = answer.usage or Usage(
        prompt_tokens=sum(_estimate(text_of(message)) for message in request.messages), completion_tokens=answer.pieces
    )
    decode_s = now - first_at
    return Finished(
        finish_reason=answer.finish_reason or "stop",
        usage=usage,
        timings=Timings(
            first_token_ms=(first_at - started_at) * 1000 if answer.first_at else 0.0,
            decode_ms=decode_s * 1000,
            decode_tokens_per_s=usage.completion_tokens / decode_s if decode_s > 0 else 0.0,
        ),
        engine=f"provider {provider}",
    )


@asynccontextmanager
async def _unwound(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """The body of a response, which may be left half-way.

    httpx reads through generators within generators and closes only the outermost; trio complains of the rest
    when they are collected. A read that is cancelled ends them all, and at most empties what is buffered.
    """
    try:
        yield chunks
    finally:
        with trio.CancelScope() as scope:
            scope.cancel()
            async for _ in chunks:
                pass


async def _bounded_body(response: httpx.Response) -> bytes:
    body = b""
    async with _unwound(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) >= MAX_ERROR_BYTES:
                break
    return body[:MAX_ERROR_BYTES]


def _retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None when it is absent or neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _estimate(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)
