"""Requests in, text out: one loaded model and the slots that answer.

The worker's loop takes what arrived and calls `step`, which decodes one batch for everybody: a token of each stream
and pieces of prompts, as the scheduler plans it. So whatever comes in is seen within one batch, and llama.cpp is
stopped in the middle of one by the abort flag where that serves. Everything here runs in the main thread.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any, Final

from agentgw_daemon.workers.llama import llama
from agentgw_daemon.workers.model.batching.scheduler import Scheduler
from agentgw_daemon.workers.model.batching.sequence import BatchSlice, common
from agentgw_daemon.workers.model.batching.speculation import Lookup
from agentgw_daemon.workers.model.cancellation import Cancellations
from agentgw_daemon.workers.model.generation import Generation
from agentgw_daemon.workers.model.kv.memory import KvMemory
from agentgw_daemon.workers.model.sampling.context import Sampler
from agentgw_daemon.workers.model.stream import SEND_INTERVAL_S, EmitMessage, ResponseStream
from agentgw_daemon.workers.model.template import template
from agentgw_daemon.workers.protocol import model as wire

# Begins as no question does that a person or a program would ask.
_ANOTHER_QUESTION: Final = "\u203d"


class Decoder:
    """A model in memory and its slots. Made by `loading.load`, ended by `close`."""

    def __init__(
        self,
        model: llama.LlamaModel,
        kv_memory: KvMemory,
        scheduler: Scheduler,
        chat: template.ChatTemplate,
        *,
        n_ctx_tokens: int,
        speculates: bool,
        emit: EmitMessage,
        cancellations: Cancellations,
    ) -> None:
        self._model: Final = model
        self._kv_memory: Final = kv_memory
        self._scheduler: Final = scheduler
        self._chat: Final = chat
        self._n_ctx_tokens: Final = n_ctx_tokens
        self._speculates: Final = speculates
        self._emit: Final = emit
        self._cancellations: Final = cancellations
        self._answers: dict[int, ResponseStream] = {}
        # The latest system text and tools, and a prompt that begins with them.
        self._skill: tuple[tuple[str, tuple[dict[str, Any], ...]], list[int]] | None = None
        self._sent_at = 0.0

    @property
    def busy(self) -> bool:
        """Tells whether there are requests, be it that they only wait for credit."""
        return bool(self._answers)

    def submit(self, request: wire.Generate) -> None:
        """Answer it, with or after those before it."""
        started = time.perf_counter()
        try:
            text, prompt = self._prompt(request.messages, request.tools)
            if request.recompute:
                self._kv_memory.open_isolated()
        except (template.TemplateFault, llama.EngineError) as error:
            self._fail(request.request_id, error)
            return
        limit = self._n_ctx_tokens
        if not 0 < len(prompt) <= limit:
            self._refuse(request.request_id, len(prompt), limit)
            return
        try:
            sampler = self._sampler(request)
        except llama.EngineError as error:
            self._fail(request.request_id, error)
            return
        # A stop string would cut what the grammar has to complete; the grammar ends the answer itself.
        stops = () if request.grammar else request.stop + self._chat.stops
        sequence = self._scheduler.submit(
            request.request_id, prompt, isolated=request.recompute, background=request.background, whole=request.whole,
            # One that is to give the same text with the same seed is always computed alike.
            leaves_core=request.background and not (request.draft or request.recompute),
            cache_scope=request.cache_scope, shared_tokens=self._shared_tokens(request, prompt),
        )  # fmt: skip
        answer = self._answers[request.request_id] = ResponseStream(
            sequence=sequence,
            sampler=sampler,
            generation=Generation(stops=stops, max_tokens=request.max_tokens),
            special=request.special,
            emit=self._emit,
            prompt_sha256=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
            render_s=time.perf_counter() - started,
            # The same seed draws the same text: guesses change the shape of the batches.
            lookup=Lookup(sequence.tokens) if self._speculates and not request.recompute else None,
        )
        answer.sampler.read(prompt)

    def count(self, request: wire.CountPrompt) -> None:
        """Render and count now."""
        try:
            text, tokens = self._prompt(request.messages, request.tools)
        except (template.TemplateFault, llama.EngineError) as error:
            self._fail(request.request_id, error)
            return
        self._cancellations.end(request.request_id)
        self._emit(wire.Counted(request_id=request.request_id, tokens=len(tokens), text=text))

    def allow(self, credit: wire.Credit) -> None:
        """Let a request send more; nothing if it is over."""
        if answer := self._answers.get(credit.request_id):
            answer.allow(credit.texts)

    def step(self) -> bool:
        """Decode one batch. False: there is nothing to compute until something arrives, or nothing may be."""
        for answer in tuple(self._answers.values()):
            if answer.request_id in self._cancellations:
                self._finish(answer, "cancelled")
        if self._cancellations.held:
            return False
        for answer in self._answers.values():
            if answer.lookup and not answer.sequence.pending > 1:
                answer.guess(self._n_ctx_tokens - len(answer.sequence.tokens))
        planned = time.perf_counter()
        batch = self._scheduler.next_batch()
        for position, sequence in enumerate(self._scheduler.waiting, 1):
            self._answers[sequence.key].tell_position(position)
        if not batch:
            return False
        self._before(batch)
        started = time.perf_counter()
        try:
            indices = self._compute(batch)
        except llama.EngineError as error:
            for batch_slice in batch:
                self._break(self._answers[batch_slice.sequence.key], error)
            return True
        if indices is None:
            self._scheduler.revert(batch)
            return True
        ended = time.perf_counter()
        seconds = ended - started
        self._scheduler.computed(batch)
        self._scheduler.took(batch, seconds, moved_s=time.perf_counter() - ended + started - planned)
        for batch_slice in batch:
            # The gain of guesses is measured while there is nobody else in the batch.
            self._after(batch_slice, indices.get(batch_slice.sequence.key), seconds if len(batch) == 1 else None)
        now = time.perf_counter()
        if now - self._sent_at >= SEND_INTERVAL_S:
            self._sent_at = now
            self.send_all()
        return True

    def flush(self) -> None:
        """Wait, within bounds, until what is to be saved is written. From any thread."""
        self._kv_memory.flush()

    def close(self) -> None:
        """Free everything. Requests must have ended."""
        self._kv_memory.close()
        self._model.close()

    def _prompt(self, messages: tuple[dict[str, Any], ...], tools: tuple[dict[str, Any], ...]) -> tuple[str, list[int]]:
        rendered = self._chat.render(messages, tools)
        return rendered.text, self._model.tokenise(rendered.fragments)

    def _shared_tokens(self, request: wire.Generate, prompt: list[int]) -> int:
        """The number of prompt tokens that are the skill's: those that another question after the same
        system text starts with.
        """
        if not (request.cache_scope and request.skill and request.messages[0]["role"] == "system"):
            return 0
        system = request.messages[0]
        if self._skill is None or self._skill[0] != (system["content"], request.tools):
            try:
                _, other = self._prompt((system, {"role": "user", "content": _ANOTHER_QUESTION}), request.tools)
            except (template.TemplateFault, llama.EngineError):
                return 0
            self._skill = ((system["content"], request.tools), other)
        return common(self._skill[1], prompt, len(prompt) - 1)

    def _sampler(self, request: wire.Generate) -> Sampler:
        return Sampler(
            self._model,
            temperature=request.temperature,
            top_k=request.top_k,
            top_p=request.top_p,
            min_p=request.min_p,
            repeat_penalty=request.repeat_penalty,
            seed=int.from_bytes(os.urandom(4), "little") if request.seed is None else request.seed,
            grammar=request.grammar,
        )

    def _before(self, batch: tuple[BatchSlice, ...]) -> None:
        now = time.perf_counter()
        for batch_slice in batch:
            answer = self._answers[batch_slice.sequence.key]
            if answer.started is None:
                answer.started = now - answer.render_s
        if any(len(batch_slice.tokens) > 1 for batch_slice in batch):
            # A piece of a prompt takes long: nobody's text waits for it.
            self.send_all()

    def send_all(self) -> None:
        """Sends the texts that wait to be sent together."""
        for answer in self._answers.values():
            answer.send()

    def _compute(self, batch: tuple[BatchSlice, ...]) -> dict[int, int] | None:
        """Decode it, to be stopped by a cancel of whom most of it is for: nobody else loses much by that.

        A piece of a prompt may take seconds, and so makes way for a hold; a token of each stream takes a moment.
        What is in the background makes way for whoever comes.
        """
        most = max(batch, key=lambda batch_slice: len(batch_slice.tokens))
        mostly = 2 * len(most.tokens) > sum(len(batch_slice.tokens) for batch_slice in batch)
        self._cancellations.begin(
            most.sequence.key if mostly else None, self._kv_memory.context(most.slot).abort,
            makes_way=len(most.tokens) > 1,
            # A memory that cannot be cut would have to begin anew.
            background=most.sequence.background and self._kv_memory.has_isolated,
        )  # fmt: skip
        try:
            return self._kv_memory.decode(batch)
        finally:
            self._cancellations.rest()

    def _after(self, batch_slice: BatchSlice, index: int | None, seconds: float | None) -> None:
        answer = self._answers[batch_slice.sequence.key]
        if batch_slice.start < answer.sequence.prompt_tokens:
            answer.tell_progress()
        if index is None:
            return
        try:
            right = self._draw(answer, batch_slice, index) if answer.generation.finish_reason is None else 0
        except llama.EngineError as error:
            self._break(answer, error)
            return
        if batch_slice.guesses:
            self._scheduler.confirm(batch_slice, right)
        if len(batch_slice.tokens) == 1 and seconds is not None:
            answer.gain.note(guesses=len(batch_slice.guesses), right=right, seconds=seconds)
        if answer.generation.finish_reason is not None:
            self._finish(answer, answer.generation.finish_reason)

    def _draw(self, answer: ResponseStream, batch_slice: BatchSlice, index: int) -> int:
        """Draw the next token, and one more after each guess that was drawn; how many were."""
        context, tokens = self._kv_memory.context(batch_slice.slot), answer.sequence.tokens
        for right in range(len(batch_slice.guesses) + 1):
            token = answer.sampler.sample(context, index + right)
            tokens.append(token)
            answer.add(self._model.piece(token, special=answer.special))
            if len(tokens) > self._n_ctx_tokens:
                answer.generation.finish_reason = answer.generation.finish_reason or "length"
            if answer.generation.finish_reason is not None or batch_slice.guesses[right : right + 1] != (token,):
                return right
        raise AssertionError("the token after the last guess was not guessed")

    def _finish(self, answer: ResponseStream, reason: str) -> None:
        done = answer.finish(reason)
        self._cancellations.end(answer.request_id)
        # Saving what it computed takes a moment: not the reader's.
        self._emit(done)
        self._forget(answer)

    def _break(self, answer: ResponseStream, error: llama.EngineError) -> None:
        """End a request whose batch failed: what its slot holds now is unknown."""
        answer.finish("failed")
        self._forget(answer, cache=True)
        self._fail(answer.request_id, error)

    def _forget(self, answer: ResponseStream, *, cache: bool = False) -> None:
        self._scheduler.leave(answer.sequence, forget=cache)
        del self._answers[answer.request_id]
        if answer.sequence.isolated and not any(other.sequence.isolated for other in self._answers.values()):
            self._kv_memory.close_isolated()

    def _fail(self, request_id: int, error: Exception) -> None:
        self._cancellations.end(request_id)
        kind = "template" if isinstance(error, template.TemplateFault) else "engine"
        said = f"the model's chat template fails: {error}" if kind == "template" else str(error)
        self._emit(wire.GenerationFailed(request_id=request_id, kind=kind, message=said, data={}))

    def _refuse(self, request_id: int, tokens: int, limit: int) -> None:
        self._cancellations.end(request_id)
        if tokens == 0:
            failed = wire.GenerationFailed(
                request_id=request_id, kind="invalid", message="the prompt is empty", data={}
            )
        else:
            failed = wire.GenerationFailed(
                request_id=request_id,
                kind="context_overflow",
                message=f"the prompt has {tokens} tokens, the context {limit}",
                data={"prompt_tokens": tokens, "n_ctx_tokens": limit},
            )
        self._emit(failed)
