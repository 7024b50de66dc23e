"""The worker's own decoder in this process, with a clock around llama_decode.

Set up with `model`, `tuning` (see Tuning) and `tokens`. A round answers one chat with the default sampling, messages
written to nowhere, and gives the milliseconds a token that were spent outside of llama_decode.
"""

from __future__ import annotations

import os
import time
from typing import Any

from agentgw.protocol.tuning import Tuning
from agentgw_daemon.workers.llama import llama
from agentgw_daemon.workers.model import loading
from agentgw_daemon.workers.model.calibration.interruption import Interruption
from agentgw_daemon.workers.model.cancellation import Cancellations
from agentgw_daemon.workers.model.worker import Outlet
from agentgw_daemon.workers.protocol import model as wire
from tests.bench.rounds import Round, serve
from tests.bench.texts import STORY


class Clock:
    """Stands in for llama_decode and adds up what it takes."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._decode = llama.api.llama_decode
        llama.api.llama_decode = self

    def __call__(self, context: Any, batch: Any) -> int:
        started = time.perf_counter()
        status: int = self._decode(context, batch)
        self.spent_s += time.perf_counter() - started
        return status


class Own:
    """A loaded decoder, driven as the worker's main loop drives it."""

    def __init__(self, request: wire.Load) -> None:
        self._clock = Clock()
        self._outlet = Outlet(os.open(os.devnull, os.O_WRONLY))
        self._said: list[wire.FromWorker] = []
        self._asked = 0
        self._decoder, *_ = loading.load(
            request, emit=self._take, cancellations=Cancellations(), interruption=Interruption()
        )

    def overhead_ms(self, tokens: int) -> float:
        """The milliseconds a token of one answer, after its first text."""
        self._asked += 1
        request = wire.Generate(
            request_id=self._asked, messages=({"role": "user", "content": STORY},), max_tokens=tokens
        )
        self._said.clear()
        self._decoder.submit(request)
        while not any(isinstance(message, wire.GenerationDelta) for message in self._said):
            self._step()
        started, spent_s = time.perf_counter(), self._clock.spent_s
        while self._decoder.busy:
            self._step()
        outside_s = time.perf_counter() - started - (self._clock.spent_s - spent_s)
        done = next(message for message in self._said if isinstance(message, wire.GenerationDone))
        return outside_s * 1000 / max(done.completion_tokens - 1, 1)

    def _take(self, message: wire.FromWorker) -> None:
        self._outlet.emit(message)
        self._said.append(message)

    def _step(self) -> None:
        before = len(self._said)
        self._decoder.step()
        for message in self._said[before:]:
            if isinstance(message, wire.GenerationDelta):
                self._decoder.allow(wire.Credit(request_id=message.request_id, texts=len(message.texts)))


def make(setup: dict[str, Any]) -> Round:
    own = Own(wire.Load(path=setup["model"], tuning=Tuning(**setup["tuning"])))
    return lambda _: own.overhead_ms(setup["tokens"])


if __name__ == "__main__":
    serve(make)
