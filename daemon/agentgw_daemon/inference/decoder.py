"""Requests in, text out: one loaded model and the slot that answers.

The worker's loop takes what arrived and calls `step`, which decodes one batch: a piece of a prompt, or one token.
So whatever comes in is seen within one batch, and llama.cpp is stopped in the middle of one by the abort flag.
Requests wait in order. Everything here runs in the main thread.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
import time
from collections.abc import Callable
from typing import Final

from agentgw_daemon.inference import llama, template, wire
from agentgw_daemon.inference.cancellation import Cancellations
from agentgw_daemon.inference.context import Batch, Context, Sampler
from agentgw_daemon.inference.generation import Generation

# As many tokens of a prompt as are computed between two looks at the world; larger pieces are not faster.
DEFAULT_BATCH_TOKENS: Final = 256
DEFAULT_CTX_TOKENS: Final = 8192
# Every message wakes the daemon and a client, which take a core from one of the decoding threads while the others
# spin for it: at a message a token, a tenth of the speed on two cores. Nobody sees a delay this short.
SEND_INTERVAL_S: Final = 0.05

Emit = Callable[[wire.FromWorker], None]


@dataclasses.dataclass(slots=True, kw_only=True)
class _Run:
    """One request being answered. `prompt[:done]` is in the KV cache; then `next_token` is to be decoded."""

    request: wire.Generate
    prompt: list[int]
    prompt_sha256: str
    cached: int
    done: int
    sampler: Sampler
    generation: Generation
    started: float
    next_token: int = -1
    prefill_ms: float = 0.0
    decode_started: float | None = None
    unsent: list[str] = dataclasses.field(default_factory=list)
    sent_at: float = 0.0


class Decoder:
    """A model in memory with one slot. Made by `loading.load`, ended by `close`."""

    def __init__(
        self,
        model: llama.Model,
        context: Context,
        chat: template.ChatTemplate,
        *,
        batch_tokens: int,
        emit: Emit,
        cancellations: Cancellations,
    ) -> None:
        self._model: Final = model
        self._context: Final = context
        self._chat: Final = chat
        self._batch_tokens: Final = batch_tokens
        self._batch: Final = Batch(batch_tokens)
        self._emit: Final = emit
        self._cancellations: Final = cancellations
        self._waiting: collections.deque[wire.Generate] = collections.deque()
        self._run: _Run | None = None
        self._in_cache: list[int] = []  # the slot's tokens whose keys and values are computed

    @property
    def busy(self) -> bool:
        """Whether `step` has something to do."""
        return self._run is not None or bool(self._waiting)

    def submit(self, request: wire.Generate) -> None:
        """Answer it after those before it."""
        self._waiting.append(request)

    def count(self, request: wire.Count) -> None:
        """Render and count now."""
        try:
            text, tokens = self._prompt(request.messages)
        except (template.TemplateFault, llama.EngineError) as error:
            self._fail(request.request_id, error)
            return
        self._cancellations.end(request.request_id)
        self._emit(wire.Counted(request_id=request.request_id, tokens=len(tokens), text=text))

    def step(self) -> None:
        """Decode one batch for whoever is next."""
        run = self._run
        if run is None:
            if self._waiting:
                self._begin(self._waiting.popleft())
        elif run.request.request_id in self._cancellations:
            self._finish(run, "cancelled")
        elif run.done < len(run.prompt):
            self._prefill(run)
        elif run.generation.finish_reason is not None:
            self._finish(run, run.generation.finish_reason)
        else:
            self._decode(run)

    def close(self) -> None:
        """Free everything. Requests must have ended."""
        self._batch.close()
        self._context.close()
        self._model.close()

    def _prompt(self, messages: tuple[dict[str, str], ...]) -> tuple[str, list[int]]:
        rendered = self._chat.render(messages)
        return rendered.text, self._model.tokenise(rendered.fragments)

    def _begin(self, request: wire.Generate) -> None:
        started = time.perf_counter()
        if request.request_id in self._cancellations:
            self._answer(request.request_id, "cancelled")
            return
        try:
            text, prompt = self._prompt(request.messages)
        except (template.TemplateFault, llama.EngineError) as error:
            self._fail(request.request_id, error)
            return
        limit = self._context.n_ctx_tokens
        if not 0 < len(prompt) <= limit:
            self._refuse(request.request_id, len(prompt), limit)
            return
        cached = self._reuse(prompt) if not request.fresh else self._cut(0)
        self._run = run = _Run(
            request=request,
            prompt=prompt,
            prompt_sha256=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
            cached=cached,
            done=cached,
            sampler=self._sampler(request),
            generation=Generation(stops=request.stop + self._chat.stops, max_tokens=request.max_tokens),
            started=started,
        )
        run.sampler.read(prompt)
        self._cancellations.begin(request.request_id, self._context.abort)

    def _sampler(self, request: wire.Generate) -> Sampler:
        return Sampler(
            self._model,
            temperature=request.temperature,
            top_k=request.top_k,
            top_p=request.top_p,
            min_p=request.min_p,
            repeat_penalty=request.repeat_penalty,
            seed=int.from_bytes(os.urandom(4), "little") if request.seed is None else request.seed,
        )

    def _reuse(self, prompt: list[int]) -> int:
        """Keep the start shared with the last prompt and answer, but the last token: its logits are needed."""
        common, most = 0, min(len(prompt) - 1, len(self._in_cache))
        while common < most and self._in_cache[common] == prompt[common]:
            common += 1
        return self._cut(common)

    def _cut(self, length: int) -> int:
        if length != len(self._in_cache) or length == 0:
            length = self._context.keep(0, length)
        del self._in_cache[length:]
        return length

    def _prefill(self, run: _Run) -> None:
        piece = run.prompt[run.done : run.done + self._batch_tokens]
        last = run.done + len(piece) == len(run.prompt)
        if not self._compute(run, piece, sampled=last):
            return
        run.done += len(piece)
        self._emit(wire.Prefilled(request_id=run.request.request_id, done=run.done, total=len(run.prompt)))
        if last:
            run.decode_started = time.perf_counter()
            run.prefill_ms = (run.decode_started - run.started) * 1000
            if run.generation.finish_reason is None:
                self._take(run, len(piece) - 1)

    def _decode(self, run: _Run) -> None:
        if self._compute(run, [run.next_token], sampled=True):
            self._take(run, 0)

    def _compute(self, run: _Run, tokens: list[int], *, sampled: bool) -> bool:
        """Decode tokens after those in the cache. False: the run has been ended instead."""
        batch, start = self._batch, len(self._in_cache)
        batch.clear()
        last = start + len(tokens) - 1
        for at, token in enumerate(tokens, start):
            batch.add(token, at, 0, wanted=sampled and at == last)
        try:
            if self._context.decode(batch):
                self._in_cache += tokens
                return True
        except llama.EngineError as error:
            self._send(run)
            self._close_run(run)
            self._cut(0)
            self._fail(run.request.request_id, error)
            return False
        # Aborted in the middle of the batch: some of its keys and values may be there, none can be relied on.
        kept = self._context.keep(0, start)
        del self._in_cache[kept:]
        self._finish(run, "cancelled")
        return False

    def _take(self, run: _Run, index: int) -> None:
        run.next_token = run.sampler.sample(self._context, index)
        shown = run.generation.add(self._model.piece(run.next_token))
        if shown:
            run.unsent.append(shown)
            if time.perf_counter() - run.sent_at >= SEND_INTERVAL_S:
                self._send(run)
        if run.generation.finish_reason is None and len(self._in_cache) >= self._context.n_ctx_tokens:
            run.generation.finish_reason = "length"
        if run.generation.finish_reason is not None:
            self._finish(run, run.generation.finish_reason)

    def _finish(self, run: _Run, reason: str) -> None:
        self._close_run(run)
        rest = run.generation.rest()
        if rest:
            run.unsent.append(rest)
        self._send(run)
        self._answer(run.request.request_id, reason, run)

    def _send(self, run: _Run) -> None:
        if run.unsent:
            self._emit(wire.Delta(request_id=run.request.request_id, texts=tuple(run.unsent)))
            run.unsent.clear()
            run.sent_at = time.perf_counter()

    def _close_run(self, run: _Run) -> None:
        run.sampler.close()
        self._run = None

    def _answer(self, request_id: int, reason: str, run: _Run | None = None) -> None:
        self._cancellations.end(request_id)
        now = time.perf_counter()
        self._emit(
            wire.Done(
                request_id=request_id,
                finish_reason=reason,
                prompt_tokens=len(run.prompt) if run else 0,
                cached_tokens=run.cached if run else 0,
                completion_tokens=run.generation.tokens if run else 0,
                prefill_ms=(run.prefill_ms or (now - run.started) * 1000) if run else 0.0,
                decode_ms=(now - run.decode_started) * 1000 if run and run.decode_started else 0.0,
                prompt_sha256=run.prompt_sha256 if run else "",
            )
        )

    def _fail(self, request_id: int, error: Exception) -> None:
        self._cancellations.end(request_id)
        kind = "template" if isinstance(error, template.TemplateFault) else "engine"
        said = f"the model's chat template fails: {error}" if kind == "template" else str(error)
        self._emit(wire.Failed(request_id=request_id, kind=kind, message=said, data={}))

    def _refuse(self, request_id: int, tokens: int, limit: int) -> None:
        self._cancellations.end(request_id)
        if tokens == 0:
            failed = wire.Failed(request_id=request_id, kind="invalid", message="the prompt is empty", data={})
        else:
            failed = wire.Failed(
                request_id=request_id,
                kind="context_overflow",
                message=f"the prompt has {tokens} tokens, the context {limit}",
                data={"prompt_tokens": tokens, "n_ctx_tokens": limit},
            )
        self._emit(failed)
