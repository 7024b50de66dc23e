"""Answers of a fake daemon to a turn."""

from __future__ import annotations

import threading
from typing import Any

from tests.client.fakedaemon import Peer

RESULT = {"turn_id": "turn1", "session_id": "session1", "text": "one two", "finish_reason": "stop", "new": {"x": 1}}


def answer(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    peer.notify("turn.started", skill="s", model="m")
    peer.notify("turn.delta", text="hm", channel="reasoning")
    peer.delta("one ")
    peer.delta("two")
    return RESULT


class Silence:
    """Answers a turn with one piece and nothing more, until its client leaves."""

    def __init__(self) -> None:
        self.left = threading.Event()

    def __call__(self, peer: Peer, params: dict[str, Any]) -> None:
        peer.delta("begun")
        if peer.gone.wait(20):
            self.left.set()
