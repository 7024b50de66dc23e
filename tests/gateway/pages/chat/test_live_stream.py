"""A turn's HTML made in a thread: the same as without one, and the daemon goes on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from agentgw.protocol.events import TurnDelta, TurnEvent, TurnNotice
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.gateway.pages.chat.live import LivePage
from agentgw_daemon.gateway.pages.chat.live_stream import LiveStream
from tests.gateway.pages.harness import RESULT

pytestmark = pytest.mark.anyio

FIRST: tuple[TurnEvent, ...] = (TurnNotice(code="c", text="n"), TurnDelta(text="# Head\n\nWords"))
SECOND: tuple[TurnEvent, ...] = (TurnDelta(text=" of *it*.\n\n- a\n"), TurnDelta(text="- b"))


class Watched(LivePage):
    """Notes in which thread it works."""

    threads: set[int]

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        self.threads.add(threading.get_ident())
        return super().turn_events(turn_id, session_id, seq, events)


async def test_it_says_what_the_page_is_told_in_its_order_from_another_thread() -> None:
    plain = LivePage("t-1")
    wanted = [
        plain.turn_events("t-1", "s-1", 1, FIRST) + plain.turn_events("t-1", "s-1", 3, SECOND),
        plain.result(RESULT),
    ]
    page = Watched("t-1")
    page.threads = set()
    stream = LiveStream(page)
    frames = stream.turn_events("t-1", "s-1", 1, FIRST) + stream.turn_events("t-1", "s-1", 3, SECOND)
    assert page.threads == set()
    said = [await stream.finished(frames)]
    said.append(await stream.finished(stream.result(RESULT)))
    assert said == wanted
    assert len(page.threads) >= 1
    assert threading.get_ident() not in page.threads


async def test_a_page_that_does_not_read_holds_as_much_as_was_said() -> None:
    stream = LiveStream(LivePage("t-1"))
    assert len(stream.turn_events("t-1", "s-1", 1, (TurnDelta(text="x" * 5000),))) >= 5000
    stored = StoredEvent(2, "turn.notice", {"code": "c", "text": "n"})
    assert len(stream.stored_events("t-1", "s-1", iter([stored]))) > 1


async def test_what_has_no_text_is_told_as_well() -> None:
    stream = LiveStream(LivePage("t-1"))
    frames = stream.turn_events("t-1", "s-1", 1, (TurnDelta(text=""),)) + stream.failure({"message": "it broke"})
    assert b"it broke" in await stream.finished(frames)
