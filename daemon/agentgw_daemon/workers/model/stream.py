"""One request being answered: what it has drawn so far, what of it has been sent, and its end in words."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Final

from agentgw_daemon.workers.model.batching.sequence import Sequence
from agentgw_daemon.workers.model.batching.speculation import Gain, Lookup
from agentgw_daemon.workers.model.generation import Generation
from agentgw_daemon.workers.model.sampling.context import Sampler
from agentgw_daemon.workers.protocol import model as wire

# Every message wakes the daemon and a client, which take a core from one of the decoding threads while the others
# spin for it: at a message a token, a tenth of the speed on two cores. Nobody sees a delay this short. All streams
# send at the same time, so that the daemon wakes once for them.
SEND_INTERVAL_S: Final = 0.05
# Of an answer that is read when it is whole: no more than a sign that it gets on.
WHOLE_INTERVAL_S: Final = 1.0

EmitMessage = Callable[[wire.FromWorker], None]


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class ResponseStream:
    """A request with its sequence, sampler and text. Its sequence is parked while it has no credit to send on."""

    sequence: Sequence
    sampler: Sampler
    generation: Generation
    emit: EmitMessage
    prompt_sha256: str
    render_s: float
    special: bool = False  # control tokens that do not end it are text
    came: float = dataclasses.field(default_factory=time.perf_counter)
    credit: int = wire.WINDOW_TEXTS
    started: float | None = None
    prefill_ms: float = 0.0
    decode_started: float | None = None
    unsent: list[str] = dataclasses.field(default_factory=list)
    begun: bool = False
    told_position: int = 0
    told_at: float = dataclasses.field(default_factory=time.perf_counter)
    lookup: Lookup | None = None
    gain: Gain = dataclasses.field(default_factory=Gain)

    @property
    def request_id(self) -> int:
        """The request's number on the wire."""
        return self.sequence.key

    def tell_position(self, position: int) -> None:
        """Tells its place among those that wait for a slot."""
        if not self.sequence.whole and position != self.told_position:
            self.told_position = position
            self.emit(wire.GenerationQueued(request_id=self.request_id, position=position))

    def tell_progress(self) -> None:
        """A piece of the prompt was computed."""
        sequence = self.sequence
        if self.decode_started is not None:
            return  # it was sent back into the queue, and this is a prompt no more
        if self._may_tell():
            self.emit(wire.Prefilled(request_id=sequence.key, done=sequence.done, total=sequence.prompt_tokens))
        if not sequence.in_prompt:
            self.decode_started = time.perf_counter()
            self.prefill_ms = (self.decode_started - (self.started or self.decode_started)) * 1000

    def guess(self, most: int) -> None:
        """Guess what comes next, at most so many tokens, where that pays."""
        wanted = min(self.gain.most(), most, self.credit - 1) if self.lookup else 0
        self.sequence.guesses = self.lookup.guess(wanted) if self.lookup and wanted > 0 else ()

    def add(self, piece: bytes | None) -> None:
        """Take one more token that was drawn. Its first text is sent at once, the others when the decoder says so."""
        shown = self.generation.add(piece)
        if not shown:
            return
        self.unsent.append(shown)
        if self.sequence.whole:
            return
        self.credit -= 1
        self.sequence.parked = self.credit <= 0
        if self.sequence.parked or not self.begun:
            self.begun = True
            self.send()

    def allow(self, texts: int) -> None:
        """The reader took this many."""
        self.credit += texts
        self.sequence.parked = self.credit <= 0

    def send(self) -> None:
        """Send what there is; of what is read when it is whole, only where it is time for a sign."""
        if self.unsent and self._may_tell():
            self._send()

    def finish(self, reason: str) -> wire.GenerationDone:
        """Send the rest of the text and free the sampler; the words that end it."""
        self.sampler.close()
        rest = self.generation.rest()
        if rest:
            self.unsent.append(rest)
        if self.unsent:
            self._send()
        now = time.perf_counter()
        return wire.GenerationDone(
            request_id=self.request_id,
            finish_reason=reason,
            prompt_tokens=self.sequence.prompt_tokens,
            cached_tokens=self.sequence.cached or 0,
            completion_tokens=self.generation.tokens,
            queue_ms=max((self.started or now) - self.came - self.render_s, 0.0) * 1000,
            prefill_ms=self.prefill_ms or (now - (self.started or now)) * 1000,
            decode_ms=(now - self.decode_started) * 1000 if self.decode_started else 0.0,
            prompt_sha256=self.prompt_sha256,
        )

    def _send(self) -> None:
        texts = ("".join(self.unsent),) if self.sequence.whole else tuple(self.unsent)
        self.emit(wire.GenerationDelta(request_id=self.request_id, texts=texts))
        self.unsent.clear()

    def _may_tell(self) -> bool:
        """Tells whether anything but the end may be said now, and takes it as said."""
        if not self.sequence.whole:
            return True
        now = time.perf_counter()
        if now - self.told_at < WHOLE_INTERVAL_S:
            return False
        self.told_at = now
        return True
