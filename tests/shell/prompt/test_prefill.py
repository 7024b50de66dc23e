"""Prefills of drafts: which text is computed, when, and what ends it."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agentgw.client import Client
from agentgw.protocol.errors import DaemonUnreachable, UsageError
from agentgw_shell.prompt.prefill import TypingPrefill
from tests.client.fakedaemon import Failure, FakeDaemon, Peer
from tests.patience import PATIENCE_S

# An edit comes before this pause ends, however busy the machine is.
LONG_S = 3600.0


class ToldClient(Client):
    """A client that tells when it is closed."""

    def __init__(self, connection: socket.socket, closed: threading.Semaphore) -> None:
        super().__init__(connection)
        self._closed = closed

    def close(self) -> None:
        super().close()
        self._closed.release()


class PrefillingDaemon:
    """A daemon that prefills, and what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self._address = str(folder / "s")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._address)
        listener.listen()
        self.fake = FakeDaemon(listener, {"turn.prefill": self._prefill})
        self._arrived = threading.Semaphore(0)
        # The draft that it never comes to an end with.
        self.held = ""
        self.left = threading.Event()
        self.closed = threading.Semaphore(0)

    def _prefill(self, peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        self._arrived.release()
        if params["message"] == self.held and peer.gone.wait(PATIENCE_S):
            self.left.set()
        if params["message"] == "refused":
            raise Failure(-32006, "no model")
        return {"model": "m", "prompt_tokens": 5}

    def connect(self) -> Client:
        """A new connection."""
        made = socket.socket(socket.AF_UNIX)
        made.connect(self._address)
        return ToldClient(made, self.closed)

    def wait(self) -> None:
        """Until one more prefill has arrived."""
        assert self._arrived.acquire(timeout=PATIENCE_S)

    @property
    def asked(self) -> list[str]:
        """The drafts, in order."""
        return [params["message"] for method, params in self.fake.received if method == "turn.prefill"]


@pytest.fixture
def daemon() -> Iterator[PrefillingDaemon]:
    # Short: a socket's path has 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="agw-"))
    made = PrefillingDaemon(folder)
    with made.fake:
        yield made
    shutil.rmtree(folder)


def sent(text: str) -> Mapping[str, Any] | None:
    return {"message": text, "skill": None} if text else None


def test_a_draft_is_computed_after_the_pause(daemon: PrefillingDaemon) -> None:
    TypingPrefill(sent, daemon.connect, pause_s=0.0).edited("why is")
    daemon.wait()
    assert daemon.fake.params("turn.prefill") == {"message": "why is"}


def test_typing_on_begins_the_pause_again() -> None:
    read = threading.Event()

    def request(text: str) -> None:
        read.set()

    typing = TypingPrefill(request, lambda: 1 / 0, pause_s=LONG_S)  # type: ignore[arg-type,return-value]  # never called
    typing.edited("w")
    typing.edited("wh")
    assert not read.is_set()


def test_what_is_no_message_asks_nobody(daemon: PrefillingDaemon) -> None:
    seen = threading.Semaphore(0)

    def request(text: str) -> Mapping[str, Any] | None:
        seen.release()
        return None

    typing = TypingPrefill(request, daemon.connect, pause_s=0.0)
    typing.edited("/help")
    assert seen.acquire(timeout=PATIENCE_S)
    assert daemon.asked == []


def test_an_edit_drops_what_is_being_computed_and_computes_the_new_draft(daemon: PrefillingDaemon) -> None:
    daemon.held = "one"
    typing = TypingPrefill(sent, daemon.connect, pause_s=0.0)
    typing.edited("one")
    daemon.wait()
    typing.edited("one two")
    assert daemon.left.wait(PATIENCE_S)
    daemon.wait()
    assert daemon.asked == ["one", "one two"]


def test_an_empty_draft_ends_it(daemon: PrefillingDaemon) -> None:
    daemon.held = "one"
    typing = TypingPrefill(sent, daemon.connect, pause_s=0.0)
    typing.edited("one")
    daemon.wait()
    typing.edited("")
    assert daemon.left.wait(PATIENCE_S)
    assert daemon.asked == ["one"]


def test_the_same_draft_is_computed_once(daemon: PrefillingDaemon) -> None:
    looked_at = threading.Event()

    def request(text: str) -> Mapping[str, Any] | None:
        looked_at.set()
        return sent(text)

    typing = TypingPrefill(request, daemon.connect, pause_s=0.0)
    typing.edited("one")
    assert daemon.closed.acquire(timeout=PATIENCE_S)
    looked_at.clear()
    typing.edited("one")
    assert looked_at.wait(PATIENCE_S)
    typing.edited("two")
    assert daemon.closed.acquire(timeout=PATIENCE_S)
    assert daemon.asked == ["one", "two"]


@pytest.mark.parametrize("error", [UsageError("too large"), DaemonUnreachable("gone"), OSError(5, "broken")])
def test_what_goes_wrong_is_left_to_the_message_itself(daemon: PrefillingDaemon, error: Exception) -> None:
    failed = threading.Event()

    def request(text: str) -> Mapping[str, Any] | None:
        if text == "bad":
            failed.set()
            raise error
        return sent(text)

    typing = TypingPrefill(request, daemon.connect, pause_s=0.0)
    typing.edited("bad")
    assert failed.wait(PATIENCE_S)
    typing.edited("good")
    daemon.wait()
    assert daemon.asked == ["good"]


def test_a_refusal_is_no_word_and_no_end(daemon: PrefillingDaemon, capfd: pytest.CaptureFixture[str]) -> None:
    typing = TypingPrefill(sent, daemon.connect, pause_s=0.0)
    typing.edited("refused")
    assert daemon.closed.acquire(timeout=PATIENCE_S)
    typing.edited("good")
    assert daemon.closed.acquire(timeout=PATIENCE_S)
    assert daemon.asked == ["refused", "good"]
    assert capfd.readouterr() == ("", "")


def test_more_edits_than_the_pipe_holds_never_wait(daemon: PrefillingDaemon) -> None:
    typing = TypingPrefill(sent, daemon.connect, pause_s=LONG_S)
    for _ in range(100_000):
        typing.edited("x")
