"""A turn's events as a stream of changes to a page, and a turn that has ended as the whole of them.

Messages without a name are HTML that htmx puts in its places; `say` is text for the end of one, `end` is for who
listens to the page. The id of a message is the number of the last event in it and that of the items so far, so that a
page that was cut off goes on where it was.
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, get_args

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.events import TurnDelta, TurnEvent, TurnNotice
from agentgw.protocol.records.schema import bind
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.gateway.pages.chat.page_turn import PageChange, PageTurn, Put
from agentgw_daemon.gateway.pages.rendering.templates import rendered
from agentgw_daemon.server.calls.sinks import NoEvents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentgw.protocol.calls.turns import TurnResult

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_OF_DELTA: Final = {"text", "channel"}
_SEEN: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,9})")
_EVENT_OF: Final[dict[str, type[TurnEvent]]] = {event.method: event for event in get_args(TurnEvent)}
# Read to who cannot see the page when the answer is there; all of it is on the page.
_MOST_READ_CHARS: Final = 400


def seen_of(last_event_id: str) -> tuple[int, int]:
    """The last event and the items that a page has, as it tells by itself; none where it tells nothing of ours."""
    found = _SEEN.fullmatch(last_event_id.strip())
    return (int(found[1]), int(found[2])) if found else (0, 0)


class LivePage:
    """A page that watches a turn, as what it is told. It is given all events of the turn, from the first one on.

    `seen`: the number of the last event and of the items that the page has already.
    """

    def __init__(self, turn_id: str, *, rating: int | None = None, seen: tuple[int, int] = (0, 0)) -> None:
        self._last_seq, shown = seen
        self._view = PageTurn(turn_id, shown=shown)
        self._seq = 0
        self._rating = rating

    def turn_events(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> bytes:
        """See Encoding."""
        known = max(0, min(len(events), self._last_seq + 1 - seq))
        changes: list[PageChange] = []
        if known:
            # What the page has is gone through for the state that it leads to; of it only missing items are sent.
            passed = self._view.feed(events[:known])
            changes += [change for change in passed if isinstance(change, Put) and change.behind]
            if seq + known > self._last_seq:
                changes += self._view.reopened()
        if events[known:]:
            changes += self._view.feed(events[known:])
        self._seq = max(self._last_seq, seq + len(events) - 1)
        return self._messages(changes)

    def stored_events(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
        """See Encoding."""
        listed = list(events)
        made = [event_of(one.method, one.params) for one in listed]
        return self.turn_events(turn_id, session_id, listed[0].seq, made) if listed else b""

    def result(self, value: TurnResult) -> bytes:
        """See StreamEncoding."""
        return self._end(value, None, f"The answer is there. {_beginning(self._view.words)}")

    def failure(self, value: dict[str, Any]) -> bytes:
        """See StreamEncoding."""
        return self._end(None, value, f"There is no whole answer: {value['message']}")

    def _end(self, result: TurnResult | None, error: dict[str, Any] | None, words: str) -> bytes:
        foot = foot_of(self._view.turn_id, result, error, self._rating)
        return self._messages(self._view.ended(foot)) + _message("end", json.dumps({"words": words})).encode()

    def _messages(self, changes: Sequence[PageChange]) -> bytes:
        turn_id, made, puts = self._view.turn_id, [], ""
        for change in changes:
            if isinstance(change, Put):
                puts += _partial(f"{turn_id}-{change.place}", change)
                continue
            if puts:
                made.append(_message("", puts))
                puts = ""
            made.append(_message("say", json.dumps({"place": f"{turn_id}-{change.place}", "text": change.text})))
        if puts:
            made.append(_message("", puts))
        if made:
            # With the last of them: a page that is cut off among them is told all of them again.
            made[-1] = f"id: {self._seq}-{len(self._view.items)}\n{made[-1]}"
        return "".join(made).encode("utf-8", "replace")


class WholeTurn(NoEvents):
    """A turn's events, kept as they come to show all of it at once. What is slow about it is left to `html`."""

    def __init__(self, turn_id: str) -> None:
        self._turn_id = turn_id
        self._events: list[TurnEvent | StoredEvent] = []
        # Characters of the answer, about.
        self.size = 0

    async def show(self, turn_id: str, session_id: str, seq: int, events: Sequence[TurnEvent]) -> None:
        """See EventSink."""
        self._events += events
        self.size += sum(len(event.text) for event in events if isinstance(event, TurnDelta))
        await super().show(turn_id, session_id, seq, events)

    async def show_stored(self, turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> None:
        """See EventSink."""
        for event in events:
            self._events.append(event)
            self.size += len(str(event.params.get("text", "")))
        await super().show_stored(turn_id, session_id, events)

    def html(self) -> str:
        """HTML of all items of the turn."""
        view = PageTurn(self._turn_id)
        view.feed(
            _by_lines(event_of(one.method, one.params) if isinstance(one, StoredEvent) else one for one in self._events)
        )
        view.ended("")
        return "".join(item.html() for item in view.items)


def _by_lines(events: Iterable[TurnEvent]) -> Iterator[TurnEvent]:
    """The events with their text in whole lines: handling each word takes longer than making HTML of it."""
    for channel, run in groupby(events, lambda event: event.channel if isinstance(event, TurnDelta) else None):
        if channel is None:
            yield from run
            continue
        text = "".join(event.text for event in run if isinstance(event, TurnDelta))
        yield from (TurnDelta(text=line, channel=channel) for line in _LINE.findall(text))


def event_of(method: str, params: dict[str, Any]) -> TurnEvent:
    """An event as the stored log has it; one that went bad is a notice in its place."""
    if method == TurnDelta.method and params.keys() == _OF_DELTA:
        # Nine of ten; what stored them has looked at them.
        return TurnDelta(text=params["text"], channel=params["channel"])
    kind = _EVENT_OF.get(method)
    if kind is not None:
        try:
            return bind(kind, params)
        except InvalidParams:
            pass
    return TurnNotice(code="unreadable", text=f"{method} cannot be shown")


def foot_of(
    turn_id: str, result: TurnResult | None, error: dict[str, Any] | None, rating: int | None, **more: str
) -> str:
    """The lines below a turn that has ended. A script sends forms without `form_token` in them, and nobody else can."""
    return rendered("foot.html", turn_id=turn_id, result=result, error=error, rating=rating, **more)


def _partial(target: str, put: Put) -> str:
    how = "beforeend" if put.behind else "innerHTML"
    return f'<hx-partial hx-target="#{target}" hx-swap="{how}">{put.html}</hx-partial>'


def _message(name: str, data: str) -> str:
    # Readers end a line at a carriage return too.
    lines = data.replace("\r", "&#13;").split("\n")
    head = f"event: {name}\n" if name else ""
    return head + "".join(f"data: {line}\n" for line in lines) + "\n"


def _beginning(words: str) -> str:
    text = " ".join(words.split())
    return text if len(text) <= _MOST_READ_CHARS else f"{text[:_MOST_READ_CHARS].rsplit(' ', 1)[0]} …"
