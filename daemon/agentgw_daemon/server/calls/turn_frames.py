"""Frames of a turn's events: `turn.*` notifications as the socket has them. Does no I/O."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from json.encoder import encode_basestring

from agentgw.protocol.events import TurnDelta, TurnEvent, TurnNotice
from agentgw.protocol.records.schema import dump
from agentgw.transport.framing import encode
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.observability.log import log_unexpected

log = logging.getLogger(__name__)


def turn_frames(turn_id: str, session_id: str, seq: int, events: Iterable[TurnEvent]) -> bytes:
    """Notifications of the events, numbered from `seq` on."""
    ids = ids_of(turn_id, session_id)
    return b"".join(_frame(ids, seq + i, event) for i, event in enumerate(events))


def stored_frames(turn_id: str, session_id: str, events: Iterable[StoredEvent]) -> bytes:
    """Notifications of events as the stored log has them."""
    ids = ids_of(turn_id, session_id)
    return b"".join(_frame_of(method, numbered(ids, seq, params)) for seq, method, params in events)


def ids_of(turn_id: str, session_id: str) -> str:
    """The start of every notification's parameters, up to the number."""
    return f'{{"turn_id":"{turn_id}","session_id":"{session_id}","seq":'


def delta_params(ids: str, seq: int, event: TurnDelta) -> str:
    """The parameters of a delta, written by hand: deltas are 20,000 a second, the rest a handful."""
    return f'{ids}{seq},"text":{encode_basestring(event.text)},"channel":"{event.channel}"}}'


def event_params(ids: str, seq: int, event: TurnEvent) -> tuple[str, str]:
    """Method and parameters of any other event; those of a notice in the place of one that cannot be written."""
    try:
        return event.method, numbered(ids, seq, dump(event))
    except (ValueError, TypeError, RecursionError) as error:
        log_unexpected(log, error, f"encoding {event.method}")
        shown = TurnNotice(code="unreadable", text=f"{event.method} cannot be shown")
        return shown.method, numbered(ids, seq, dump(shown))


def numbered(ids: str, seq: int, params: dict[str, object]) -> str:
    """Parameters with the turn, the session and the number before them."""
    body = encode(params)[1:-2].decode("utf-8")
    separator = "," if body else ""
    return f"{ids}{seq}{separator}{body}}}"


def _frame(ids: str, seq: int, event: TurnEvent) -> bytes:
    if isinstance(event, TurnDelta):
        made = f'{{"jsonrpc":"2.0","method":"turn.delta","params":{delta_params(ids, seq, event)}}}\n'
        return made.encode("utf-8", "replace")
    return _frame_of(*event_params(ids, seq, event))


def _frame_of(method: str, params: str) -> bytes:
    return f'{{"jsonrpc":"2.0","method":"{method}","params":{params}}}\n'.encode()
