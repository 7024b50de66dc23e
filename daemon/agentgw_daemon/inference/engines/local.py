"""The engine whose model runs in a worker: turns a request into the worker's words and its replies into events."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Final

import trio

from agentgw.protocol.errors import ContextOverflow, InvalidParams, ModelUnavailable, RpcError
from agentgw.protocol.types import FinishReason, Options, Timings, Usage
from agentgw_daemon.inference.engine import (
    EngineEvent,
    Finished,
    GenerationRequest,
    Prefill,
    PromptCount,
    PromptMessage,
    Queued,
    TextDelta,
    ToolCallingMode,
    as_mapping,
)
from agentgw_daemon.inference.hosting.call import WorkerCall
from agentgw_daemon.inference.hosting.host import ModelHost, Ticket
from agentgw_daemon.inference.hosting.supervisor import WorkerProcess
from agentgw_daemon.inference.spec import ModelSpec
from agentgw_daemon.inference.structured_output.compiler import grammar_of
from agentgw_daemon.tool_calling import formats
from agentgw_daemon.workers.protocol import model as wire

_FINISH_REASONS: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length", "cancelled": "cancelled"}
# All that a request may set goes to the worker, under the same names.
_SAMPLING: Final = tuple(field.name for field in dataclasses.fields(Options))
# Of ten tools a model of 135 million parameters chose the right one every second time; one of 1.5 billion does.
NARROW_PARAMS: Final = 1_000_000_000


class LocalEngine:
    """Answers with the model of a host. Streams wait in the host's queue; counting takes no slot."""

    def __init__(self, host: ModelHost, spec: ModelSpec) -> None:
        self._host = host
        self._spec = spec

    async def load(self) -> None:
        """Have the model in memory. Raises ModelUnavailable."""
        ticket = self._host.join(needs_slot=False)
        try:
            await _wait_worker(ticket)
        finally:
            self._host.leave(ticket)

    async def tool_calling(self) -> ToolCallingMode:
        """See Engine."""
        ticket = self._host.join(needs_slot=False)
        try:
            loaded = (await _wait_worker(ticket)).model
        finally:
            self._host.leave(ticket)
        assert loaded is not None
        chosen = formats.choose(loaded.chat_template, takes_tools=loaded.takes_tools, prompt_end=loaded.prompt_end)
        return ToolCallingMode(format=chosen, narrow=0 < loaded.n_params < NARROW_PARAMS)

    async def count(self, messages: Sequence[PromptMessage], tools: Sequence[Mapping[str, Any]] = ()) -> PromptCount:
        """See Engine. A worker that is generating answers when it can."""
        ticket = self._host.join(needs_slot=False)
        try:
            worker = await _wait_worker(ticket)
            assert worker.model is not None
            message = wire.CountPrompt(
                request_id=worker.next_id(), messages=_wire_messages(messages), tools=tuple(map(dict, tools))
            )
            async with worker.call(message) as call:
                async for reply in call:
                    match reply:
                        case wire.Counted():
                            return PromptCount(
                                tokens=reply.tokens, n_ctx_tokens=worker.model.n_ctx_tokens, text=reply.text
                            )
                        case wire.GenerationFailed():
                            raise self._error(reply)
                        case _:
                            continue
        finally:
            self._host.leave(ticket)
        raise AssertionError("a call ends with Counted, Failed or WorkerDied")

    def stream(self, request: GenerationRequest) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """See Engine. Nothing is held before the first event is asked for. Iterate in the task that entered."""
        return aclosing(self._events(request, trio.current_time()))

    async def _events(self, request: GenerationRequest, started_at: float) -> AsyncGenerator[EngineEvent, None]:
        ticket = self._host.join(needs_slot=True, background=request.background, whole=request.whole)
        call: WorkerCall | None = None
        first_at = 0.0
        try:
            while (waiting_for := await ticket.next_change()) is not None:
                yield waiting_for
            worker = ticket.worker
            assert worker is not None
            async with worker.call(_generate(worker.next_id(), request)) as call:
                async for reply in call:
                    match reply:
                        case wire.GenerationDelta():
                            first_at = first_at or trio.current_time()
                            yield TextDelta(texts=reply.texts)
                        case wire.GenerationQueued():
                            yield Queued(position=reply.position)
                        case wire.Prefilled():
                            yield Prefill(done=reply.done, total=reply.total)
                        case wire.GenerationDone():
                            self._host.went_well()
                            self._host.leave(ticket)
                            yield self._finished(reply, ticket, first_at - started_at if first_at else 0.0)
                        case wire.GenerationFailed():
                            raise self._error(reply)
                        case wire.Counted():
                            continue
        finally:
            # No await here: it also runs when the generator is closed under cancellation.
            self._host.leave(ticket, call)

    def _finished(self, done: wire.GenerationDone, ticket: Ticket, first_token_s: float) -> Finished:
        assert ticket.worker is not None
        rate = done.completion_tokens / done.decode_ms * 1000 if done.decode_ms > 0 else 0.0
        return Finished(
            finish_reason=_FINISH_REASONS.get(done.finish_reason, "stop"),
            usage=Usage(
                prompt_tokens=done.prompt_tokens,
                cached_tokens=done.cached_tokens,
                completion_tokens=done.completion_tokens,
            ),
            timings=Timings(
                queue_ms=ticket.queued_s * 1000 + done.queue_ms,
                load_ms=ticket.loading_s * 1000,
                prefill_ms=done.prefill_ms,
                first_token_ms=first_token_s * 1000,
                decode_ms=done.decode_ms,
                decode_tokens_per_s=rate,
            ),
            prompt_sha256=done.prompt_sha256,
            engine=ticket.worker.engine,
            model_sha256=self._spec.sha256,
        )

    def _error(self, failed: wire.GenerationFailed) -> RpcError:
        name = self._spec.name
        match failed.kind:
            case "context_overflow":
                overflow = ContextOverflow(f"{name}: {failed.message}", model=name)
                overflow.data.update(failed.data)
                return overflow
            case "invalid":
                return InvalidParams(f"{name}: {failed.message}", reason=failed.message)
            case _:
                return ModelUnavailable(f"{name}: {failed.message}", model=name, reason=failed.message)


async def _wait_worker(ticket: Ticket) -> WorkerProcess:
    while await ticket.next_change() is not None:
        pass
    assert ticket.worker is not None
    return ticket.worker


def _wire_messages(messages: Sequence[PromptMessage]) -> tuple[dict[str, Any], ...]:
    return tuple(map(as_mapping, messages))


def _generate(request_id: int, request: GenerationRequest) -> wire.Generate:
    given = {name: value for name in _SAMPLING if (value := getattr(request.options, name)) is not None}
    if request.fallback_seed is not None:
        given.setdefault("seed", request.fallback_seed)
    return wire.Generate(
        request_id=request_id, messages=_wire_messages(request.messages), recompute=request.recompute,
        cache_scope=request.cache_scope, skill=request.skill, background=request.background, draft=request.draft,
        whole=request.whole, tools=tuple(map(dict, request.tools)), special=request.special,
        grammar="" if request.schema is None else grammar_of(request.schema), **given,
    )  # fmt: skip
