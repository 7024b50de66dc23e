"""The prompt computed while it is typed: after a pause, while nobody else computes, dropped when the typing goes on.

A thread of its own waits for the pause and for the daemon, on a connection of its own: closing that is what ends a
prefill. What was computed until then stays with the model, so the next one begins where the drafts part.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from select import select
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.errors import AgentgwError

if TYPE_CHECKING:
    from agentgw.client import Client

# Longer than between two keys of a word, shorter than a thought.
PAUSE_S: Final = 0.4
_METHOD: Final = "turn.prefill"


class TypingPrefill:
    """Prefills of drafts. `request` gives the parameters that a draft would be sent with, None for what is no
    message; `connect` a new connection. Both are called in the thread.
    """

    def __init__(
        self, request: Callable[[str], Mapping[str, Any] | None], connect: Callable[[], Client], *,
        pause_s: float = PAUSE_S,
    ) -> None:  # fmt: skip
        self._request = request
        self._connect = connect
        self._pause_s = pause_s
        self._text = ""
        # The last draft that was computed to its end: the same one needs it no second time.
        self._computed: Mapping[str, Any] | None = None
        self._edits, self._edited = os.pipe()
        # An edit that finds the pipe full is seen with those in it.
        os.set_blocking(self._edited, False)
        self._thread: threading.Thread | None = None

    def edited(self, text: str) -> None:
        """Take the new draft. Never waits; an empty draft ends the prefill that runs."""
        self._text = text
        if self._thread is None:
            if not text:
                return
            # A daemon thread: whoever leaves the chat does not wait for it.
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        try:
            os.write(self._edited, b"e")
        except BlockingIOError:
            return

    def _run(self) -> None:
        while True:
            os.read(self._edits, 4096)
            while select([self._edits], [], [], self._pause_s)[0]:
                os.read(self._edits, 4096)
            try:
                self._prefill(self._text)
            except (AgentgwError, OSError):
                # The message itself will meet the same, and say it.
                continue

    def _prefill(self, text: str) -> None:
        request = self._request(text)
        if request is None or request == self._computed:
            return
        with self._connect() as client:
            client.send(_METHOD, **request)
            # Nothing else is asked on this connection, so what comes is the reply.
            if client.wait_message(self._edits):
                client.next_message()
                self._computed = request
