from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from agentgw.client import Client
from agentgw.protocol.errors import AgentgwError
from agentgw_shell.prompt.paste import Pastes
from agentgw_shell.turns.draft import Draft
from agentgw_shell.turns.keyboard import Keyboard
from agentgw_shell.turns.view import TurnView
from agentgw_shell.turns.watching import Watch
from tests.e2e.home import until
from tests.patience import PATIENCE_S

OVER = {"code": -32004, "message": "that turn is over", "data": {}}
FAILED = {"code": -32603, "message": "the model is gone", "data": {}}


class Turn:
    """A turn whose daemon is this test, and what is typed while it runs."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_S)
        theirs.settimeout(PATIENCE_S)
        self._wire, self._lines = theirs, theirs.makefile("rb")
        read, self._keys = os.pipe()
        self._keyboard = read
        self.client = Client(ours)
        self.draft = Draft(Pastes())
        self.draft.queue = ["later"]
        self.view = TurnView(lambda text: None, lambda: (80, 24))
        self.watch = Watch(self.client, self.view, Keyboard(read), self.draft, _no_approval)

    def send(self, **message: Any) -> None:
        """One frame of the daemon."""
        self._wire.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def type(self, keys: str) -> None:
        """Keys of the user."""
        os.write(self._keys, keys.encode())

    def asked(self) -> int:
        """The number of the next request."""
        return int(json.loads(self._lines.readline())["id"])

    def run(self, play: Callable[[Turn, int], None]) -> None:
        """Watch it while the daemon does this with the number of its request."""
        stream = self.client.stream("turn.start", message="x")

        def daemon() -> None:
            number = self.asked()
            self.send(method="turn.started", params={"turn_id": "t-1", "session_id": "s-1", "seq": 1})
            until(lambda: self.view.turn_id, "the turn is known")
            play(self, number)

        thread = threading.Thread(target=daemon)
        thread.start()
        try:
            self.watch.run(stream)
        finally:
            thread.join(PATIENCE_S)
            self._lines.close()
            self._wire.close()
            self.client.close()
            os.close(self._keys)
            os.close(self._keyboard)


def _no_approval(params: Mapping[str, Any]) -> None:
    raise AssertionError(params)


def test_what_came_too_late_to_steer_goes_before_what_waits() -> None:
    turn = Turn()

    def play(turn: Turn, number: int) -> None:
        for text in ("first", "second"):
            turn.type(f"{text}\x1bs")
            turn.send(id=turn.asked(), error=OVER)
        turn.send(id=number, result={})

    turn.run(play)
    assert turn.draft.queue == ["first", "second", "later"]


@pytest.mark.parametrize("end", [{"result": {}}, {"error": FAILED}])
def test_a_turn_that_ends_before_it_hears_of_a_text_costs_no_word(end: dict[str, Any]) -> None:
    turn = Turn()

    def play(turn: Turn, number: int) -> None:
        turn.type("now\x1bs")
        asked = turn.asked()
        turn.send(id=number, **end)
        turn.send(id=asked, error=OVER)

    if "error" in end:
        with pytest.raises(AgentgwError, match="the model is gone"):
            turn.run(play)
    else:
        turn.run(play)
    assert turn.draft.queue == ["now", "later"]


def test_a_text_that_the_turn_has_taken_is_not_sent_again() -> None:
    turn = Turn()

    def play(turn: Turn, number: int) -> None:
        turn.type("now\x1bs")
        turn.send(id=turn.asked(), result={"ok": True})
        turn.send(id=number, result={})

    turn.run(play)
    assert turn.draft.queue == ["later"]
