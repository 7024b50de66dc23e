"""Stream of a turn for a page, whose HTML is made in a thread: a long list takes so long that it held up the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.events import TurnDelta
from agentgw_daemon.gateway.http.event_stream import EVENT_STREAM, HEARTBEAT
from agentgw_daemon.gateway.pages.rendering.templates import in_page_thread

if TYPE_CHECKING:
    from agentgw.protocol.calls.turns import TurnResult
    from agentgw.protocol.events import TurnEvent
    from agentgw_daemon.events.stored_event import StoredEvent
    from agentgw_daemon.gateway.pages.chat.live import LivePage
    from agentgw_daemon.server.calls.sinks import OtherEvent

# Of what is not text; such events are few.
_EVENT_BYTES: Final = 200


class LiveStream:
    """The `StreamEncoding` of a page: its frames are as long as the events are, and `finished` makes the HTML of them.

    The length is what holds a turn back whose page does not read.
    """

    content_type: Final = EVENT_STREAM
    heartbeat: Final = HEARTBEAT
    is_finished: Final = False

    def __init__(self, page: LivePage) -> None:
        self._page = page
        self._waiting: list[Callable[[], bytes]] = []

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        """See Encoding."""
        size = sum(len(event.text) if isinstance(event, TurnDelta) else _EVENT_BYTES for event in events)
        return self._later(partial(self._page.turn_events, turn_id, session_id, seq, tuple(events)), size)

    def stored_events(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
        """See Encoding."""
        listed = list(events)
        return self._later(partial(self._page.stored_events, turn_id, session_id, listed), len(listed) * _EVENT_BYTES)

    def other_event(self, event: OtherEvent) -> bytes:
        """See Encoding."""
        return b""

    def result(self, value: TurnResult) -> bytes:
        """See StreamEncoding."""
        return self._later(partial(self._page.result, value), _EVENT_BYTES)

    def failure(self, value: dict[str, Any]) -> bytes:
        """See StreamEncoding."""
        return self._later(partial(self._page.failure, value), _EVENT_BYTES)

    async def finished(self, frames: bytes) -> bytes:
        """See StreamEncoding. All that waits, though some of it came after these frames."""
        waiting, self._waiting = self._waiting, []
        return await in_page_thread(lambda: b"".join(make() for make in waiting))

    def _later(self, make: Callable[[], bytes], size: int) -> bytes:
        self._waiting.append(make)
        return b"." * max(size, 1)
