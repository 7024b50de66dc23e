"""A turn watched to its end: the daemon and the keyboard are heard side by side, the screen is drawn between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from select import select
from typing import TYPE_CHECKING, Any

from agentgw.protocol.errors import from_wire
from agentgw.transport.connection import Notification
from agentgw_shell.turns.view import TurnView

if TYPE_CHECKING:
    from agentgw.client import Client, Stream
    from agentgw_shell.turns.draft import Draft
    from agentgw_shell.turns.keyboard import Keyboard


class Watch:
    """One turn, its view, and what is typed meanwhile."""

    def __init__(
        self,
        client: Client,
        view: TurnView,
        keyboard: Keyboard,
        draft: Draft,
        approve: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._client = client
        self._view = view
        self._keyboard = keyboard
        self._draft = draft
        self._approve = approve
        # Requests to steer that have no reply yet, with their texts.
        self._steering: dict[object, str] = {}
        # Texts that came too late to steer: first in the queue.
        self._late = 0

    def run(self, stream: Stream) -> None:
        """Show the turn until it ends. Raises the error it ends with, KeyboardInterrupt, and ConnectionLost."""
        self._show_typed()
        try:
            while True:
                if self._client.has_pending:
                    if self._hear(stream):
                        return
                else:
                    self._wait()
                self._view.frame(time.monotonic())
        finally:
            # The turn has ended before it heard of them. The reply to one that it took comes before its end.
            for text in self._steering.values():
                self._put_first(text)

    def _wait(self) -> None:
        """Wait for the daemon, a key, or the next frame."""
        open_ends: list[Client | Keyboard] = [self._client]
        if self._keyboard.is_open:
            open_ends.append(self._keyboard)
        ready, _, _ = select(open_ends, [], [], self._view.due_s(time.monotonic()))
        if self._keyboard in ready:
            self._type()
        if self._client in ready:
            self._client.wait_pending()

    def _hear(self, stream: Stream) -> bool:
        """Take one message of the daemon; tells whether it ends the turn's request."""
        message = self._client.next_message()
        if isinstance(message, Notification):
            self._view.show(message)
            if message.method == "turn.approval":
                self._view.make_room()
                self._approve(message.params)
                self._show_typed()
            return False
        if message.id in self._steering:
            text = self._steering.pop(message.id)
            if message.error is not None:
                # Too late for this turn: it becomes the next one's message.
                self._view.remark(from_wire(message.error).message)
                self._put_first(text)
                self._show_typed()
            return False
        return stream.is_ended_by(message)

    def _type(self) -> None:
        for key, data in self._keyboard.read():
            if key == "c-c":
                # Pressed while the prompt's mode was still on, in which it is a key and no signal.
                raise KeyboardInterrupt
            wish = self._draft.press(key, data)
            if wish is not None and wish.kind == "steer":
                self._steer(wish.text)
        self._show_typed()

    def _steer(self, text: str) -> None:
        if not self._view.turn_id:
            self._put_first(text)
            return
        self._steering[self._client.send("turn.steer", turn_id=self._view.turn_id, text=text)] = text

    def _put_first(self, text: str) -> None:
        """Queue the text before messages for later, because it was meant for this turn."""
        self._draft.queue.insert(self._late, text)
        self._late += 1

    def _show_typed(self) -> None:
        self._view.set_typed(self._draft.lines(self._view.columns))
