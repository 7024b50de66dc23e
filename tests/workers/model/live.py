"""A real model worker on real pipes, spoken to in the real wire."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from agentgw.protocol.tuning import Tuning
from agentgw_daemon.workers.protocol import model as wire
from tests.patience import PATIENCE_S
from tests.workers.model.tunings import ONE_THREAD

T = TypeVar("T")


class LiveWorker:
    """One worker process. Leaving the context closes its input, on which it must end with status 0."""

    def __init__(self, *, env: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "agentgw_daemon.workers.model.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        self.pid = self._process.pid
        self._buffer = b""
        # When somebody who reads on and on gives up.
        self._give_up_at = time.monotonic() + PATIENCE_S
        self.reads: set[int] | None = None  # the requests whose texts somebody takes; None: all

    def __enter__(self) -> LiveWorker:
        self.expect(wire.ModelWorkerReady)
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        try:
            if kind is None and self._process.poll() is None:
                assert self.close() == 0
        finally:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                assert stream is not None
                stream.close()

    def send(self, *messages: wire.ToWorker) -> None:
        """Write commands."""
        self.send_raw(b"".join(map(wire.encode, messages)))

    def send_raw(self, line: bytes) -> None:
        """Write bytes that need be no command."""
        self._write(line)
        self._give_up_at = time.monotonic() + PATIENCE_S

    def receive(self) -> wire.ModelWireMessage | None:
        """The next message but heartbeats; None when the worker closed its end."""
        while True:
            while b"\n" not in self._buffer:
                assert self._process.stdout is not None
                assert select.select([self._process.stdout], [], [], PATIENCE_S)[0], "the worker says nothing"
                more = os.read(self._process.stdout.fileno(), 1 << 16)
                if not more:
                    return None
                self._buffer += more
            line, _, self._buffer = self._buffer.partition(b"\n")
            message = wire.decode(line)
            if isinstance(message, wire.GenerationDelta) and (self.reads is None or message.request_id in self.reads):
                # It may have ended by now.
                with contextlib.suppress(BrokenPipeError):
                    self._write(wire.encode(wire.Credit(request_id=message.request_id, texts=len(message.texts))))
            if not isinstance(message, wire.ModelWorkerHeartbeat):
                assert time.monotonic() < self._give_up_at, f"it goes on and on: {message!r}"
                return message

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def expect(self, kind: type[T]) -> T:
        """The next message, which must be of this kind."""
        message = self.receive()
        assert isinstance(message, kind), f"{message!r}, stderr: {self.stderr() if message is None else 'open'}"
        return message

    def load(self, path: Path, *, tuning: Tuning = ONE_THREAD, **settings: float) -> wire.Loaded:
        """Load a model that must load."""
        self.send(wire.Load(path=str(path), tuning=tuning, **settings))  # type: ignore[arg-type]  # by name
        return self.expect(wire.Loaded)

    def until_end(self) -> Iterator[wire.ModelWireMessage]:
        """The messages up to and with the next that ends a request."""
        while True:
            message = self.receive()
            assert message is not None, self.stderr()
            yield message
            if isinstance(message, wire.GenerationDone | wire.GenerationFailed):
                return

    def answer(self, request: wire.Generate) -> tuple[str, wire.GenerationDone]:
        """The whole text of a request that must succeed."""
        self.send(request)
        *messages, done = self.until_end()
        assert isinstance(done, wire.GenerationDone), done
        return "".join(
            text for message in messages if isinstance(message, wire.GenerationDelta) for text in message.texts
        ), done

    def close(self) -> int:
        """Close its input; its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.wait()

    def wait(self) -> int:
        """The exit status of the worker."""
        return self._process.wait(PATIENCE_S)

    def stderr(self) -> str:
        """The lines that it logged, once it has ended."""
        assert self._process.stderr is not None
        return self._process.stderr.read().decode()


def ask(request_id: int, text: str = "hi", **options: object) -> wire.Generate:
    """One user message, greedy unless told otherwise."""
    settings: dict[str, object] = {"temperature": 0.0, **options}
    return wire.Generate(request_id=request_id, messages=({"role": "user", "content": text},), **settings)  # type: ignore[arg-type]  # options by name
