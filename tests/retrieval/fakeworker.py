"""A retrieval worker without engines: a real child process that speaks the real wire.

As a module it hands tests the command to start it; as a program it is the worker. Vectors are bags of words: each word
adds one at a place that its digest names, so texts that share words are near and nothing else is. A prompt's
words count too. A document is cut at blank lines, one piece a paragraph; its title is its first line. The vector
indexes are the real ones.

What the first text of a request asks for, or the text or file name of a document (the part after the last `/`):

- `die:N`: signal N · `exit:N`: exit status N · `hang`: nothing any more, no heartbeat either
- `deaf`: heartbeats only, whatever is said · `slow`: heartbeats until cancelled
- `greedy`: a heartbeat that reports 1 TiB · `garbage`: a line that is no message · `flood`: garbage without end
- `stray`: a reply to nobody · `refuse:KIND`: Failed of that kind · `short`: vectors of the wrong size
- `env`: Failed with the names of its environment · `pid`: Failed with its process id
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import math
import os
import queue
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import agentgw
import agentgw_daemon.workers.protocol.index  # noqa: F401  # its messages are to be understood
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.workers.protocol import codec
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.protocol.codec import ReplyPart, WorkerRequest
from agentgw_daemon.workers.retrieval.handlers import Handlers, Refusal

COMMAND = (sys.executable, __file__)
DIM = 64
BEAT_S = 0.05
# Names of files that this worker says are of a far year, with the time in nanoseconds since 1970.
TIMES_NS = {
    "year-1500.txt": -14831769600 * 10**9, "year-1969.txt": -86400 * 10**9, "year-9999.txt": 253402214400 * 10**9,
}  # fmt: skip
EMBEDDER = wire.Embedder(name="fake", id="fake-1", dim=DIM, max_tokens=256, gguf="/fake.gguf")


def fake_settings(*arguments: str, **changes: object) -> RetrievalSettings:
    """Settings that start this worker, with limits that a test can wait for."""
    settings = RetrievalSettings(command=(*COMMAND, *arguments), restart_backoff_s=0.01, start_timeout_s=20)
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]  # names are the caller's


def vector(text: str) -> list[float]:
    """The unit vector of a text's words; of none, the first axis."""
    made = [0.0] * DIM
    for word in text.lower().split():
        made[int.from_bytes(hashlib.sha256(word.encode("utf-8", "replace")).digest()[:4], "big") % DIM] += 1.0
    length = math.sqrt(sum(x * x for x in made))
    return [x / length for x in made] if length else [1.0, *made[1:]]


def packed(text: str) -> bytes:
    """The same as it travels."""
    return struct.pack(f"<{DIM}f", *vector(text))


async def fake_embedder() -> wire.Embedder:
    """The embedder for `open_retrieval`: the only one this worker knows."""
    return EMBEDDER


class UnheardTask:
    """See RequestTask. Parts of the answer go nowhere."""

    cancelled = False

    def emit(self, part: ReplyPart) -> None:
        pass


class FakeWorker:
    """Two threads: one listens (and dies with its parent), this one works."""

    def __init__(self, role: str, version: str, *, small: bool = False) -> None:
        self._role = role
        self._small = small
        self._version = version
        self._jobs: queue.Queue[tuple[int, WorkerRequest]] = queue.Queue()
        self._cancelled: dict[int, threading.Event] = {}
        self._speaking = threading.Lock()
        self._beating = threading.Event()
        self._handlers: Handlers | None = None
        self._index_id = 0
        self.handlers: dict[type[WorkerRequest], Callable[[int, WorkerRequest], codec.WireMessage]] = {
            wire.Embed: self._embed,
            wire.Warm: lambda _id, _request: wire.Warmed(),
            wire.Read: self._read,
        }

    def run(self) -> None:
        for target in (self._listen, self._beat):
            threading.Thread(target=target, daemon=True).start()
        self._say(0, wire.Ready(version=self._version, pid=os.getpid(), role=self._role))
        while True:
            request_id, request = self._jobs.get()
            self._beating.set()
            reply = self.handlers.get(type(request), self._index)(request_id, request)
            self._beating.clear()
            del self._cancelled[request_id]
            self._say(request_id, reply)

    def _say(self, request_id: int, message: codec.WireMessage) -> None:
        self._write(codec.encode(request_id, message))

    def _write(self, data: bytes) -> None:
        with self._speaking:
            while data:
                data = data[os.write(1, data) :]

    def _listen(self) -> None:
        for line in sys.stdin.buffer:
            request_id, message = codec.decode(line)
            if isinstance(message, wire.Cancel):
                if request_id in self._cancelled:
                    self._cancelled[request_id].set()
            else:
                assert isinstance(message, WorkerRequest)
                self._cancelled[request_id] = threading.Event()
                self._jobs.put((request_id, message))
        os._exit(0)

    def _beat(self) -> None:
        while self._beating.wait():
            self._say(0, wire.Heartbeat(rss_bytes=1 << 20))
            time.sleep(BEAT_S)

    def _embed(self, request_id: int, request: WorkerRequest) -> codec.WireMessage:
        assert isinstance(request, wire.Embed)
        failed = self._misbehave(request_id, request.texts[0])
        vectors = b"".join(packed(request.prompt + text) for text in request.texts)
        if request.texts[0] == "short":
            vectors = vectors[:-4]
        return failed or wire.Embedded(dim=DIM, vectors=vectors, engine="fake")

    def _read(self, request_id: int, request: WorkerRequest) -> codec.WireMessage:
        assert isinstance(request, wire.Read)
        failed = self._misbehave(request_id, (request.path or request.text).rpartition("/")[2])
        if failed:
            return failed
        data, mtime_ns = request.text.encode("utf-8", "replace"), 0
        if request.path:
            try:
                data = Path(request.path).read_bytes()
                mtime_ns = Path(request.path).stat().st_mtime_ns
                # Times that the disk below the tests may have no room for.
                mtime_ns = TIMES_NS.get(Path(request.path).name, mtime_ns)
            except OSError as error:
                return wire.Failed(kind="unreadable", message=f"cannot be opened: {(error.strerror or '').lower()}")
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 == request.known_sha256:
            return wire.Unchanged(sha256=sha256, size_bytes=len(data), mtime_ns=mtime_ns)
        if b"\0" in data:
            return wire.Failed(kind="unreadable", message="is not text")
        pieces = paragraphs(data)
        for piece in pieces:
            self._say(request_id, wire.Pieces(pieces=(piece,)))
        title = data.decode("utf-8", "replace").lstrip().partition("\n")[0]
        return wire.Extracted(format="text", title=title, sha256=sha256, size_bytes=len(data), mtime_ns=mtime_ns)

    def _index(self, request_id: int, request: WorkerRequest) -> codec.WireMessage:
        if self._handlers is None:
            from agentgw_daemon.workers.retrieval import index_role
            from agentgw_daemon.workers.retrieval.index import index

            if self._small:
                index.FLAT_MOST, index.FLAT_AGAIN = 30, 15  # type: ignore[misc]  # graphs of a test's size
            self._handlers = Handlers()
            self._handlers.add(wire.Embed, lambda asked, _task: self._embedded(asked))
            index_role.add_to(self._handlers)
        self._index_id = request_id
        try:
            return self._handlers.answer(request, UnheardTask())
        except Refusal as refusal:
            return wire.Failed(kind=refusal.kind, message=refusal.text)

    def _embedded(self, request: wire.Embed) -> wire.Embedded:
        reply = self._embed(self._index_id, request)
        if isinstance(reply, wire.Failed):
            raise Refusal(reply.kind, reply.message)
        assert isinstance(reply, wire.Embedded)
        return reply

    def _misbehave(self, request_id: int, text: str) -> wire.Failed | None:
        verb, _, argument = text.partition(":")
        match verb:
            case "die":
                os.kill(os.getpid(), int(argument))
            case "exit":
                os._exit(int(argument))
            case "hang":
                self._beating.clear()
                signal.pause()
            case "slow":
                self._cancelled[request_id].wait()
                return wire.Failed(kind="cancelled", message="")
            case "greedy":
                self._say(0, wire.Heartbeat(rss_bytes=1 << 40))
            case "garbage":
                self._write(b"ggml: this is not a message\n")
            case "flood":
                while True:
                    self._write(b"x" * 65536)
            case "stray":
                self._say(request_id + 1, wire.Warmed())
            case "refuse":
                return wire.Failed(kind=argument, message="as you asked")
            case "env":
                return wire.Failed(kind="model", message=" ".join(sorted(os.environ)))
            case "pid":
                return wire.Failed(kind="model", message=str(os.getpid()))
        if verb in ("deaf", "greedy", "garbage", "stray"):
            threading.Event().wait()
        return None


def paragraphs(data: bytes) -> list[wire.DocumentChunk]:
    """The pieces of a text, cut at blank lines."""
    made: list[wire.DocumentChunk] = []
    at = 0
    for block in data.split(b"\n\n"):
        text = block.decode("utf-8", "replace").strip()
        if text:
            line = 1 + data[:at].count(b"\n")
            made.append(
                wire.DocumentChunk(
                    text=text, title_path="", first_line=line, last_line=line + text.count("\n"), first_byte=at,
                    last_byte=at + len(block), tokens=len(text.split()),
                )
            )  # fmt: skip
        at += len(block) + 2
    return made


def main() -> None:
    """Be the worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", default=agentgw.__version__)
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--exit", type=int, default=None)
    parser.add_argument("--small", action="store_true", help="graphs from thirty vectors on")
    parser.add_argument("role")
    given = parser.parse_args()
    if given.exit is not None:
        print("no such engine", file=sys.stderr)
        sys.exit(given.exit)
    if given.never_ready:
        signal.pause()
    FakeWorker(given.role, given.version, small=given.small).run()


if __name__ == "__main__":
    main()
