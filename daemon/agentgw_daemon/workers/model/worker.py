"""The model worker's process: `python -m agentgw_daemon.workers.model.worker`.

Commands come on standard input, messages go out on what was standard output, log lines go to standard error.
Three threads: main computes; the reader hears commands, cancels and the end of input; the heartbeat says that the
process lives while main is busy. End of input means that the daemon is gone: the process ends there and then,
whatever main is doing in native code. A thread that fails ends the process too; the supervisor starts another.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Final, NoReturn, assert_never

from agentgw import __version__
from agentgw_daemon.workers.model.calibration.interruption import Interruption
from agentgw_daemon.workers.model.cancellation import Cancellations
from agentgw_daemon.workers.protocol import model as wire
from agentgw_daemon.workers.protocol.lines import MAX_LINE_BYTES, WireError
from agentgw_daemon.workers.runtime import lifeline

if TYPE_CHECKING:
    from agentgw_daemon.workers.model.calibration.measuring import Calibration
    from agentgw_daemon.workers.model.decoder import Decoder

# From the end of input to the end of the process. The supervisor kills it after two seconds.
END_TIMEOUT_S: Final = 1.5


class Outlet(lifeline.Pipe):
    """The way out for this wire's messages."""

    def emit(self, message: wire.FromWorker) -> None:
        """Send one message."""
        self.send(wire.encode(message))


class CommandReader(threading.Thread):
    """Hears the daemon. Commands wait in `commands` for the main thread; cancels act at once too.

    Any command interrupts what the main thread does for nobody.
    """

    def __init__(self, cancellations: Cancellations, interruption: Interruption) -> None:
        super().__init__(name="reader", daemon=True)
        self._cancellations: Final = cancellations
        self._interruption: Final = interruption
        # None is the end of input.
        self.commands: Final[queue.SimpleQueue[wire.ToWorker | None]] = queue.SimpleQueue()
        self.may_end: Final = threading.Event()

    def run(self) -> None:
        """Hear until the end of input, which is the end of the process."""
        while line := sys.stdin.buffer.readline(MAX_LINE_BYTES):
            match wire.decode(line):
                case wire.CancelGeneration(request_id=request_id) as request:
                    self._cancellations.cancel(request_id)
                    self.commands.put(request)  # wakes the main thread when there is nothing to compute
                case wire.Generate() | wire.CountPrompt() as request:
                    background = isinstance(request, wire.Generate) and request.background
                    self._cancellations.expect(request.request_id, urgent=not background)
                    self.commands.put(request)
                case wire.Pause() as request:
                    self._cancellations.hold()
                    self.commands.put(request)
                case wire.Resume() as request:
                    self._cancellations.release()
                    self.commands.put(request)
                case wire.Load() | wire.Credit() as request:
                    self.commands.put(request)
                case other:
                    raise WireError(f"{type(other).__name__} is not for a worker")
            self._interruption.come()
        # The main thread may have something to save; one that is busy in native code is not waited for.
        self.commands.put(None)
        self._interruption.come()
        self.may_end.wait(END_TIMEOUT_S)
        os._exit(0)


def main() -> NoReturn:
    """Run the worker until its input ends."""
    outlet = Outlet(lifeline.harden())
    cancellations = Cancellations()
    interruption = Interruption()
    reader = CommandReader(cancellations, interruption)
    heartbeat = lifeline.HeartbeatThread(lambda rss: outlet.emit(wire.ModelWorkerHeartbeat(rss_bytes=rss)))
    reader.start()
    heartbeat.start()
    try:
        _serve(outlet, reader, heartbeat, cancellations, interruption)
    except BaseException:  # noqa: BLE001  # the process's own supervision point
        lifeline.end_broken()


def _serve(
    outlet: Outlet,
    reader: CommandReader,
    heartbeat: lifeline.HeartbeatThread,
    cancellations: Cancellations,
    interruption: Interruption,
) -> NoReturn:
    # Imported only now: the reader must already watch for the daemon's end, and nothing may print to stdout.
    from agentgw_daemon.workers.llama import llama
    from agentgw_daemon.workers.llama.gguf_head import UnusableModelFile
    from agentgw_daemon.workers.model import loading

    outlet.emit(
        wire.ModelWorkerReady(
            version=__version__, pid=os.getpid(), engine=f"llama.cpp ({llama.version()})", build=llama.build()
        )
    )
    idle_work = IdleWork(outlet, reader, interruption, cancellations)

    def load(request: wire.Load, old: Decoder | None) -> Decoder | None:
        if old is not None and old.busy:
            outlet.emit(wire.LoadFailed(reason="the worker is answering"))
            return old
        idle_work.calibration = None
        if old is not None:
            old.close()
        try:
            decoder, loaded, idle_work.calibration = loading.load(
                request, emit=outlet.emit, cancellations=cancellations, interruption=interruption
            )
        except (UnusableModelFile, llama.EngineError) as error:
            outlet.emit(wire.LoadFailed(reason=str(error)))
            return None
        outlet.emit(loaded)
        return decoder

    decoder: Decoder | None = None
    while True:
        computing = decoder is not None and decoder.step()
        idle = not computing and not (decoder is not None and decoder.busy)
        if idle:
            heartbeat.stop_beating()
        # All that came, so that requests which came together start together.
        while not computing or not reader.commands.empty():
            command = idle_work.next_command() if idle else reader.commands.get()
            heartbeat.start_beating()
            computing, idle = True, False
            match command:
                case None:
                    if decoder is not None:
                        decoder.flush()
                    reader.may_end.set()
                case wire.Load():
                    decoder = load(command, decoder)
                case wire.Pause():
                    # Between two batches: this thread computes nothing while it hears commands.
                    if decoder is not None:
                        decoder.send_all()
                    outlet.emit(wire.Paused(pause_id=command.pause_id))
                case wire.Resume():
                    pass  # the next step goes on
                case _:
                    idle_work.answered = idle_work.answered or isinstance(command, wire.Generate)
                    _handle(command, decoder, outlet, cancellations)


class IdleWork:
    """Work of the main thread when nobody wants anything: it waits, and measures the model once."""

    def __init__(
        self, outlet: Outlet, reader: CommandReader, interruption: Interruption, cancellations: Cancellations
    ) -> None:
        self._outlet: Final = outlet
        self._commands: Final = reader.commands
        self._interruption: Final = interruption
        self._cancellations: Final = cancellations
        self.calibration: Calibration | None = None
        self.answered = False  # nothing is measured before the first answer: it must not wait

    def next_command(self) -> wire.ToWorker | None:
        """Wait for a command or the end (None), and use the time if it takes long to come."""
        if self.calibration is None or not self.answered or self._cancellations.held:
            return self._commands.get()
        try:
            return self._commands.get(timeout=self.calibration.after_s)
        except queue.Empty:
            self._interruption.forget()
            if self._commands.empty():
                self._calibrate(self.calibration)
            return self._commands.get()

    def _calibrate(self, calibration: Calibration) -> None:
        from agentgw_daemon.workers.llama.llama import EngineError

        try:
            best = calibration.run()
        except EngineError as error:
            print(f"cannot be measured: {error}", file=sys.stderr, flush=True)
            self.calibration = None
            return
        if best is None:
            return
        self.calibration = None
        self._outlet.emit(wire.TuningFound(tuning=best, measured=calibration.measured))


def _handle(
    command: wire.Generate | wire.CountPrompt | wire.CancelGeneration | wire.Credit,
    decoder: Decoder | None,
    outlet: Outlet,
    cancellations: Cancellations,
) -> None:
    cancellations.take_up(command.request_id)
    match command:
        case wire.CancelGeneration():
            return  # the next step sees it
        case wire.Credit():
            if decoder is not None:
                decoder.allow(command)
        case wire.Generate() | wire.CountPrompt() if decoder is None:
            cancellations.end(command.request_id)
            outlet.emit(
                wire.GenerationFailed(
                    request_id=command.request_id, kind="invalid", message="no model is loaded", data={}
                )
            )
        case wire.Generate():
            decoder.submit(command)
        case wire.CountPrompt():
            decoder.count(command)
        case _:
            assert_never(command)


if __name__ == "__main__":
    main()
