"""A worker without a model: a real child process that speaks the real wire and does what its prompts say.

As a module it hands tests the command to start it and model files to "load"; as a program it is the worker.

What the last message asks for:

- `count:N`: N tokens `t0 t1 …` as fast as they are read · `slow:N`: the same at a pace · `flood`: without end
- `pushy`: more empty tokens than it may send unread
- `die:N`: three tokens, then signal N · `exit:N`: three tokens, then exit status N
- `lend:N`: the same as `die`, but a child of its own keeps the pipe open
- `prefill`: one report of progress, then nothing until cancelled, heart beating
- `hang`: nothing any more, no heartbeat either · `deaf`: heartbeats only, whatever is said
- `stuck`: three tokens, then deaf
- `greedy`: a heartbeat that reports 1 TiB · `garbage`: a line that is no message · `fail[:KIND]`: Failed
- `env`: its environment's names · `kv`: what it was told of saving · anything else: the message again, a token a word

What the model file's name asks for: `refused` (LoadFailed), `dies`, `hangs`, `gated` (makes `gated.reached`
beside it, then loads once the FIFO `gated.fifo` has a writer); anything else loads. Asked to calibrate, it finds the
same settings each time, after the first answer.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import agentgw
from agentgw.protocol.tuning import Measurement, Tuning
from agentgw_daemon.inference.spec import InferenceSettings, ModelSpec
from agentgw_daemon.workers.protocol import model as wire

COMMAND = (sys.executable, __file__)
N_CTX_TOKENS = 4096
PACE_S = 0.005
BEAT_S = 0.05


def fake_settings(*arguments: str, **changes: object) -> InferenceSettings:
    """Settings that start this worker, with limits that a test can wait for."""
    settings = InferenceSettings(command=(*COMMAND, *arguments), restart_backoff_s=0.01, start_timeout_s=20)
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]  # names are the caller's


def fake_model(folder: Path, name: str = "fake", size_bytes: int = 4) -> ModelSpec:
    """A file that this worker agrees to load, sparse where it is big."""
    path = folder / f"{name}.gguf"
    with path.open("wb") as file:
        file.truncate(size_bytes)
    return ModelSpec(name=name, kind="file", path=str(path), sha256="0" * 64)


class FakeWorker:
    """Two threads: this one listens (and dies with its parent), the other one works."""

    def __init__(self, slots: int, version: str, answers_pauses: bool = True) -> None:
        self._slots = slots
        self._saving = ""
        self._version = version
        self._answers_pauses = answers_pauses
        self._jobs: queue.Queue[wire.Load | wire.Generate] = queue.Queue()
        self._cancelled: dict[int, threading.Event] = {}
        self._credit: dict[int, threading.Semaphore] = {}
        self._speaking = threading.Lock()
        self._beating = threading.Event()
        self._pause = threading.Condition()
        self._paused = False
        self._calibrates = False

    def run(self) -> None:
        for target in (self._listen, self._beat):
            threading.Thread(target=target, daemon=True).start()
        self._say(wire.ModelWorkerReady(version=self._version, pid=os.getpid(), engine="fake"))
        while True:
            job = self._jobs.get()
            if isinstance(job, wire.Load):
                self._load(job)
            else:
                threading.Thread(target=self._work, args=(job,), daemon=True).start()

    def _say(self, message: wire.ModelWireMessage) -> None:
        data = wire.encode(message)
        with self._speaking:
            while data:
                data = data[os.write(1, data) :]

    def _listen(self) -> None:
        for line in sys.stdin.buffer:
            match wire.decode(line):
                case wire.Load() | wire.Generate() as job:
                    if isinstance(job, wire.Generate):
                        self._cancelled[job.request_id] = threading.Event()
                        self._credit[job.request_id] = threading.Semaphore(wire.WINDOW_TEXTS)
                    self._jobs.put(job)
                case wire.CancelGeneration(request_id=request_id):
                    # Looked up once: the working thread takes them out when its request ends.
                    cancelled, credit = self._cancelled.get(request_id), self._credit.get(request_id)
                    if cancelled is None or credit is None:
                        print("cancel of a request that is over", file=sys.stderr, flush=True)
                        continue
                    with self._pause:
                        cancelled.set()
                        self._pause.notify_all()
                    credit.release()
                case wire.Credit(request_id=request_id, texts=texts):
                    if (credit := self._credit.get(request_id)) is not None:
                        credit.release(texts)
                case wire.Pause(pause_id=pause_id):
                    with self._pause:
                        self._paused = True
                        # The answer to the first one only, where it is to be so.
                        if self._answers_pauses or pause_id == 1:
                            self._say(wire.Paused(pause_id=pause_id))
                case wire.Resume():
                    with self._pause:
                        self._paused = False
                        self._pause.notify_all()
                case wire.CountPrompt(request_id=request_id, messages=messages):
                    text = _prompt(messages)
                    self._say(wire.Counted(request_id=request_id, tokens=len(text.split()), text=text))
        os._exit(0)

    def _beat(self) -> None:
        while self._beating.wait():
            self._say(wire.ModelWorkerHeartbeat(rss_bytes=1 << 20))
            time.sleep(BEAT_S)

    def _load(self, load: wire.Load) -> None:
        self._saving = f"{load.kv_dir} {load.kv_cache_bytes}"
        match Path(load.path).stem:
            case "refused":
                self._say(wire.LoadFailed(reason="not a usable GGUF"))
                return
            case "dies":
                print("GGML_ASSERT(something) failed", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGABRT)
            case "hangs":
                signal.pause()
            case "gated":
                Path(load.path).with_suffix(".reached").touch()
                Path(load.path).with_suffix(".fifo").open("rb").close()
        self._calibrates = load.calibrate_after_s >= 0
        self._say(
            wire.Loaded(
                n_ctx_tokens=N_CTX_TOKENS, n_ctx_train_tokens=N_CTX_TOKENS, slots=self._slots,
                description="fake", template="model", load_ms=1.0,
                tuning=Tuning(
                    attention=load.tuning.attention, threads=load.tuning.threads or 8,
                    threads_batch=load.tuning.threads_batch or 8, batch_tokens=load.tuning.batch_tokens or 256,
                ),
            )
        )  # fmt: skip

    def _work(self, job: wire.Generate) -> None:
        text = job.messages[-1]["content"]
        verb, _, argument = text.partition(":")
        if verb == "hang":
            return
        self._beating.set()
        prompt_tokens = len(_prompt(job.messages).split())
        if verb == "fail" or prompt_tokens > N_CTX_TOKENS:
            kind = argument or ("engine" if verb == "fail" else "context_overflow")
            numbers = {"prompt_tokens": prompt_tokens, "n_ctx_tokens": N_CTX_TOKENS}
            data = numbers if kind == "context_overflow" else {}
            self._end(wire.GenerationFailed(request_id=job.request_id, kind=kind, message="as you asked", data=data))
            return
        if verb == "greedy":
            self._say(wire.ModelWorkerHeartbeat(rss_bytes=1 << 40))
        if verb == "garbage":
            os.write(1, b"ggml: this is not a message\n")
        if verb in ("deaf", "greedy", "garbage"):
            return
        if verb == "queued":
            self._say(wire.GenerationQueued(request_id=job.request_id, position=int(argument)))
        self._say(wire.Prefilled(request_id=job.request_id, done=0, total=prompt_tokens))
        cancelled = self._cancelled[job.request_id]
        if verb == "prefill":
            cancelled.wait()
        if verb == "kv":
            text = f"{self._saving} {job.cache_scope}"
        self._generate(job, _tokens(text, job.stop, cancelled), cancelled, prompt_tokens)

    def _generate(
        self, job: wire.Generate, tokens: Iterator[str], cancelled: threading.Event, prompt_tokens: int
    ) -> None:
        said = 0
        finish_reason = "stop"
        credit = self._credit[job.request_id]
        for token in tokens:
            if token:
                credit.acquire()
            if job.max_tokens is not None and said >= job.max_tokens:
                finish_reason = "length"
            if cancelled.is_set() or finish_reason == "length":
                break
            with self._pause:
                self._pause.wait_for(lambda: not self._paused or cancelled.is_set())
                if cancelled.is_set():
                    break
                said += 1
                self._say(wire.GenerationDelta(request_id=job.request_id, texts=(token,)))
        if cancelled.is_set():
            finish_reason = "cancelled"
        self._end(
            wire.GenerationDone(
                request_id=job.request_id, finish_reason=finish_reason, prompt_tokens=prompt_tokens, cached_tokens=0,
                completion_tokens=said, queue_ms=0.0, prefill_ms=1.0, decode_ms=float(said), prompt_sha256="f" * 64,
            )
        )  # fmt: skip

    def _end(self, reply: wire.GenerationDone | wire.GenerationFailed) -> None:
        del self._cancelled[reply.request_id], self._credit[reply.request_id]
        if not self._cancelled:
            self._beating.clear()
        self._say(reply)
        if self._calibrates:
            self._calibrates = False
            best = Tuning(attention="plain", threads=3, threads_batch=4, batch_tokens=512)
            figure = Measurement(attention="plain", threads=3, batch_tokens=0, streams=1, tokens_per_s=9.5)
            self._say(wire.TuningFound(tuning=best, measured=(figure,)))


def _prompt(messages: tuple[dict[str, str], ...]) -> str:
    return "\n".join(message["content"] for message in messages)


def _tokens(text: str, stops: tuple[str, ...], cancelled: threading.Event) -> Iterator[str]:
    verb, _, argument = text.partition(":")
    match verb:
        case "count":
            yield from (f"t{n} " for n in range(int(argument)))
        case "slow":
            for n in range(int(argument)):
                cancelled.wait(PACE_S)
                yield f"t{n} "
        case "flood":
            while True:
                yield "x" * 1000
        case "pushy":
            yield from [""] * (2 * wire.WINDOW_TEXTS)
        case "die" | "lend" | "exit" | "stuck":
            yield from ("one ", "two ", "three ")
            if verb == "lend":
                # `cat` ends when our parent closes the pipe that was our stdin.
                subprocess.Popen(["cat"], stdin=0, stdout=1, start_new_session=True)
            if verb in ("die", "lend"):
                os.kill(os.getpid(), int(argument))
            if verb == "exit":
                os._exit(int(argument))
            threading.Event().wait()
        case "prefill":
            return
        case "env":
            yield from (f"{name} " for name in sorted(os.environ))
        case _:
            cut = min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))
            yield from re.findall(r"\S+\s*", text[:cut])


def main() -> None:
    """Be the worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--version", default=agentgw.__version__)
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--deaf-to-pauses", action="store_true", help="answer the first one only")
    parser.add_argument("--exit", type=int, default=None)
    parser.add_argument("--alive", default=None, help="a FIFO held open for writing for as long as this process lives")
    given = parser.parse_args()
    if given.alive is not None:
        os.open(given.alive, os.O_WRONLY)
    if given.exit is not None:
        print("no such engine", file=sys.stderr)
        sys.exit(given.exit)
    if given.never_ready:
        signal.pause()
    FakeWorker(given.slots, given.version, not given.deaf_to_pauses).run()


if __name__ == "__main__":
    main()
