"""Measures, on the model that is loaded, what `search` asks for, while nobody wants anything of it.

Runs in contexts of its own, small ones, one at a time, that are gone whenever it stops. A command that arrives stops
it in the middle of a batch; what was measured until then is kept, and the rest is measured at the next occasion. So
does a machine that has other things to do: a figure taken then would hold for weeks and mean nothing.
"""

from __future__ import annotations

import dataclasses
import resource
import statistics
import time
from collections.abc import Iterable
from typing import Final

from agentgw.protocol.tuning import Measurement, Tuning
from agentgw_daemon.system.memory import available_bytes, give_back
from agentgw_daemon.workers.llama import llama
from agentgw_daemon.workers.model.calibration.interruption import Interruption
from agentgw_daemon.workers.model.calibration.search import Cores, Probe, Search, search, with_defaults
from agentgw_daemon.workers.model.sampling.context import Batch, Context

# Read before anything is timed: weights come from the disk, caches and threads warm up.
WARM_UP_TOKENS: Final = 32
# A prompt of as many tokens as are read in this time is the context that streams decode with, within these bounds.
# The cost of attention shows only at some hundred tokens.
PROMPT_S: Final = 2.0
LEAST_PROMPT_TOKENS: Final = 64
MOST_PROMPT_TOKENS: Final = 512
# The middle one of so many steps: the first ones are slower, and others use the machine now and then.
DECODE_STEPS: Final = 13
# Its contexts are small, but the logits of a batch are 200 MB with a large vocabulary.
LEAST_AVAILABLE_BYTES: Final = 1 << 30
# When a figure is no good: cores were taken from us, and we lost much of their time. Measured with two threads on two
# cores: 30 to 40 times a second and 1.0 of the time on a quiet machine (every little thing preempts threads that
# spin), 60 to 155 times and 0.2 to 0.8 of it on a busy one. Threads that sleep lose time too, but not to others.
MOST_PREEMPTIONS_PER_S: Final = 20
LEAST_SHARE: Final = 0.9
ATTEMPTS: Final = 2
_STRIDE: Final = 7919  # a prime: no vocabulary's size has it as a factor, so all of it is walked through


class Interrupted(Exception):
    """Stop of a calibration: somebody wants something, or the machine is busy."""


def preemptions() -> int:
    """The number of times that the system has taken a core from this process for others."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def disturbed(times: int, *, wall_s: float, cpu_s: float, threads: int) -> bool:
    """Tells whether others had so much of the cores that a figure means nothing."""
    return times > MOST_PREEMPTIONS_PER_S * wall_s and cpu_s < LEAST_SHARE * threads * wall_s


class Calibration:
    """One search for the best settings of one loaded model. `model` must outlive the last `run`."""

    def __init__(
        self,
        model: llama.LlamaModel,
        interruption: Interruption,
        *,
        asked: Tuning,
        cores: Cores,
        slots: int,
        after_s: float,
    ) -> None:
        self.after_s: Final = after_s
        self._model: Final = model
        self._interruption: Final = interruption
        self._asked: Final = asked
        self._cores: Final = cores
        self._slots: Final = slots
        self._prompt_tokens = 0
        self._search: Search | None = None
        self._probe: Probe | None = None
        self._rates: dict[tuple[str, int, int, int], float] = {}
        self._bench: Bench | None = None
        self.best: Tuning | None = None

    @property
    def measured(self) -> tuple[Measurement, ...]:
        """The figures there are, in the order they were taken."""
        return tuple(
            Measurement(attention=attention, threads=threads, batch_tokens=batch, streams=streams, tokens_per_s=rate)
            for (attention, threads, batch, streams), rate in self._rates.items()
        )

    def run(self) -> Tuning | None:
        """Measure until it is known. None: not now, and it may be called again. Raises EngineError: never."""
        available = available_bytes()
        if available is not None and available < LEAST_AVAILABLE_BYTES:
            return None
        try:
            if self._search is None:
                self._begin()
            while self._probe is not None:
                self._advance(self._rate(self._probe))
        except Interrupted:
            return None
        finally:
            self._close()
            give_back()
        return self.best

    def _begin(self) -> None:
        """Measures how long a prompt is affordable, then makes the first probe. Interrupted, it begins again."""
        tuning = dataclasses.replace(with_defaults(self._asked, self._cores), batch_tokens=WARM_UP_TOKENS)
        bench = self._bench = Bench(self._model, self._interruption, tuning, n_tokens=WARM_UP_TOKENS, slots=1)
        bench.read_s(WARM_UP_TOKENS)
        rate = WARM_UP_TOKENS / bench.read_s(WARM_UP_TOKENS)
        self._prompt_tokens = min(max(int(rate * PROMPT_S), LEAST_PROMPT_TOKENS), MOST_PROMPT_TOKENS)
        self._search = search(
            self._asked, self._cores, slots=self._slots, most_batch_tokens=self._prompt_tokens
        )  # fmt: skip
        self._advance(None)

    def _advance(self, rate: float | None) -> None:
        assert self._search is not None
        try:
            self._probe = next(self._search) if rate is None else self._search.send(rate)
        except StopIteration as end:
            self._probe, self.best = None, end.value

    def _rate(self, probe: Probe) -> float:
        if probe.key not in self._rates:
            try:
                self._rates[probe.key] = round(self._undisturbed(probe), 1)
            except llama.EngineError:
                self._rates[probe.key] = 0.0
        return self._rates[probe.key]

    def _undisturbed(self, probe: Probe) -> float:
        for _ in range(ATTEMPTS):
            started, cpu_before, before = time.perf_counter(), time.process_time(), preemptions()
            rate = self._measure(probe)
            wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_before
            threads = probe.tuning.threads if probe.streams else probe.tuning.threads_batch
            if not disturbed(preemptions() - before, wall_s=wall_s, cpu_s=cpu_s, threads=threads):
                return rate
        raise Interrupted

    def _measure(self, probe: Probe) -> float:
        tuning = probe.tuning
        bench = self._bench
        if bench is None or not bench.suits(tuning, self._prompt_tokens):
            self._close()
            bench = self._bench = Bench(
                self._model, self._interruption, tuning, n_tokens=self._prompt_tokens, slots=self._slots
            )
        bench.set_threads(tuning)
        if probe.streams == 0:
            return self._prompt_tokens / bench.read_s(self._prompt_tokens)
        bench.have(self._prompt_tokens)
        return probe.streams / bench.step_s(probe.streams, self._prompt_tokens)

    def _close(self) -> None:
        if self._bench is not None:
            self._bench.close()
            self._bench = None


class Bench:
    """A context to measure in. Raises Interrupted, and EngineError where these settings do not work."""

    def __init__(
        self, model: llama.LlamaModel, interruption: Interruption, tuning: Tuning, *, n_tokens: int, slots: int
    ) -> None:
        if interruption.came:
            raise Interrupted
        self._n_vocabulary: Final = model.n_vocabulary
        self._interruption: Final = interruption
        self._tuning: Final = tuning
        self._n_tokens: Final = n_tokens
        most_tokens = max(tuning.batch_tokens, slots)
        self._context: Final = Context(
            model,
            n_cells=n_tokens + slots * DECODE_STEPS,
            n_batch_tokens=most_tokens,
            threads=(tuning.threads, tuning.threads_batch),
            slots=slots,
            attention=tuning.attention,
        )
        self._batch: Final = Batch(most_tokens)
        self._filled = 0

    def close(self) -> None:
        """Free everything."""
        self._batch.close()
        self._context.close()

    def suits(self, tuning: Tuning, n_tokens: int) -> bool:
        """Tells whether these settings can be measured here: the number of threads can be changed, nothing else."""
        mine = (self._tuning.attention, self._tuning.batch_tokens, self._n_tokens)
        return mine == (tuning.attention, tuning.batch_tokens, n_tokens)

    def set_threads(self, tuning: Tuning) -> None:
        """Run with as many from now on."""
        self._context.set_threads(tuning.threads, tuning.threads_batch)

    def read_s(self, n_tokens: int) -> float:
        """Seconds to read a prompt from its first token on; afterwards it is there."""
        self._filled = self._context.keep(0, 0)
        started = time.perf_counter()
        most_tokens = self._tuning.batch_tokens
        for start in range(0, n_tokens, most_tokens):
            size = min(most_tokens, n_tokens - start)
            self._decode((start + i, 0, start + i == n_tokens - 1) for i in range(size))
        self._filled = n_tokens
        return time.perf_counter() - started

    def have(self, n_tokens: int) -> None:
        """See to it that a prompt of this length is there."""
        if self._filled != n_tokens:
            self.read_s(n_tokens)

    def step_s(self, streams: int, start: int) -> float:
        """Seconds that one step of so many streams takes, which share the prompt that is there."""
        context = self._context
        for stream in range(1, streams):
            context.share(0, stream, 0, start)
        seconds = []
        for step in range(DECODE_STEPS):
            started = time.perf_counter()
            self._decode((start + step, stream, True) for stream in range(streams))
            seconds.append(time.perf_counter() - started)
        for stream in range(1, streams):
            context.keep(stream, 0)
        self._filled = context.keep(0, start)
        return statistics.median(seconds)

    def _decode(self, tokens: Iterable[tuple[int, int, bool]]) -> None:
        """A batch of tokens, each a position, its sequence and whether its logits are wanted."""
        self._batch.clear()
        for position, sequence, wanted in tokens:
            # The choice of tokens makes no difference to the time, but for mixtures of experts: so not always the same
            # one.
            self._batch.add(position * _STRIDE % self._n_vocabulary, position, sequence, wanted=wanted)
        self._interruption.begin(self._context.abort)
        try:
            whole = self._context.decode(self._batch)
            self._context.synchronise()
        finally:
            self._interruption.rest()
        if not whole:
            raise Interrupted
