"""A daemon of a few lines that speaks the real wire on a real socket, in a thread or as a process of its own.

As a process (`python fakedaemon.py --version 4.0.0 …`) it takes descriptor 3 as the spawning client hands it over,
holds the lock beside the database and answers `hello`, `ping` and `daemon.shutdown`. Standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

VERSION = "4.0.0.dev0"
Handler = Callable[["Peer", dict[str, Any]], Any]
Serve = Callable[..., "FakeDaemon"]


class Failure(Exception):
    """Error that a handler raises to answer with it."""

    def __init__(self, code: int, message: str, **data: Any) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": data}


class HangUp(Exception):
    """Signal that a handler raises to close the connection without an answer."""


class Peer:
    """One connection, for handlers."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.seq = 0
        # Set when the client has gone.
        self.gone = threading.Event()
        # Set by a `turn.cancel`.
        self.cancelled = threading.Event()

    def send(self, message: dict[str, Any]) -> None:
        self.connection.sendall(json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode() + b"\n")

    def notify(self, method: str, **params: Any) -> None:
        self.seq += 1
        if method.startswith("turn."):
            params = {"turn_id": "turn1", "session_id": "session1", "seq": self.seq, **params}
        self.send({"method": method, "params": params})

    def delta(self, text: str) -> None:
        self.notify("turn.delta", text=text, channel="answer")


class FakeDaemon:
    """Listens on `listener` until closed. `answers` maps a method to its result or to a handler that makes it."""

    def __init__(
        self,
        listener: socket.socket,
        answers: dict[str, Any] | None = None,
        *,
        version: str = VERSION,
        protocol: int = 1,
    ) -> None:
        self.listener = listener
        self.answers: dict[str, Any] = {
            "hello": {
                "protocol": protocol, "version": version, "pid": os.getpid(), "instance": "i",
                "started_at": "2026-01-01T00:00:00Z", "busy": False,
            },
            "ping": "pong",
            "turn.cancel": lambda peer, params: peer.cancelled.set() or {"ok": True},
            **(answers or {}),
        }  # fmt: skip
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.peers: list[Peer] = []
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self) -> FakeDaemon:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the accept of the thread.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for peer in self.peers:
            peer.gone.set()
            try:
                peer.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def params(self, method: str) -> dict[str, Any]:
        """The parameters of the last such call."""
        return [params for name, params in self.received if name == method][-1]

    def methods(self) -> list[str]:
        return [name for name, _ in self.received]

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            peer = Peer(connection)
            self.peers.append(peer)
            threading.Thread(target=self._serve_peer, args=(peer,), daemon=True).start()

    def _serve_peer(self, peer: Peer) -> None:
        running: list[threading.Thread] = []
        with peer.connection, peer.connection.makefile("rb") as lines:
            try:
                for line in lines:
                    message = json.loads(line)
                    self.received.append((message["method"], message.get("params", {})))
                    # A handler may wait for what comes next on its own connection.
                    running.append(threading.Thread(target=self._answer, args=(peer, message), daemon=True))
                    running[-1].start()
            except (OSError, ValueError):
                pass
            peer.gone.set()
            for thread in running:
                thread.join()

    def _answer(self, peer: Peer, message: dict[str, Any]) -> None:
        answer = self.answers.get(message["method"], Failure(-32601, "Method not found"))
        try:
            if isinstance(answer, Exception):
                raise answer
            result = answer(peer, message.get("params", {})) if callable(answer) else answer
            reply = {"id": message.get("id"), "result": result}
        except Failure as failure:
            reply = {"id": message.get("id"), "error": failure.error}
        except HangUp:
            peer.connection.shutdown(socket.SHUT_RDWR)
            return
        except OSError:
            return
        try:
            if "id" in message:
                peer.send(reply)
        except OSError:
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", default=VERSION)
    parser.add_argument("--say", default="", help="last words before the end")
    parser.add_argument("--status", type=int, default=-1, help="end at once with this status")
    parser.add_argument("--kill", type=int, default=0, help="end at once by this signal")
    parser.add_argument("--wait", type=float, default=0.0, help="before serving")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--record", default="", help="append what this process found at its start")
    parser.add_argument("--lock", default="", help="the lock to hold")
    parser.add_argument("--prewarm", action="store_true")
    args = parser.parse_args()
    if args.record:
        record(args.record, args.prewarm)
    if args.say:
        print(args.say, file=sys.stderr, flush=True)
    if args.kill:
        os.kill(os.getpid(), args.kill)
    if args.status >= 0:
        os._exit(args.status)
    if args.lock:
        descriptor = os.open(args.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("agentgw: already running (pid 1)", file=sys.stderr, flush=True)
            os._exit(75)
    time.sleep(args.wait)
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
    ended = threading.Event()

    def stop(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("upgrade") and args.busy:
            return {"stopping": False, "reason": "1 turn is running"}
        threading.Timer(0.02, ended.set).start()
        return {"stopping": True}

    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    daemon = FakeDaemon(socket.socket(fileno=3), {"daemon.shutdown": stop}, version=args.version)
    daemon.thread.start()
    ended.wait()
    os._exit(0)


def record(path: str, prewarm: bool) -> None:
    """Writes the arguments and environment of this process as a line of JSON."""
    # The listing's own descriptor is gone by the time it is looked at.
    descriptors = [int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    found = {
        "pid": os.getpid(), "sid": os.getsid(0), "prewarm": prewarm, "environment": dict(os.environ),
        "descriptors": sorted(descriptors),
        "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        "pipe_disposition": str(signal.getsignal(signal.SIGPIPE)),
        "stdin": os.readlink("/proc/self/fd/0"), "stdout": os.readlink("/proc/self/fd/1"),
    }  # fmt: skip
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, json.dumps(found).encode() + b"\n")
    os.close(descriptor)


if __name__ == "__main__":
    main()
