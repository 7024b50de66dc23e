"""Frames of a turn's events: `turn.*` notifications as the socket has them. Does no I/O."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from json.encoder import encode_basestring

from agentgw.protocol.events import TurnDelta, TurnEvent, TurnNotice
from agentgw.protocol.schema import dump
from agentgw.transport.framing import encode
from agentgw_daemon.observability.log import log_unexpected

log = logging.getLogger(__name__)


def turn_frames(turn_id: str, session_id: str, seq: int, events: Iterable[TurnEvent]) -> bytes:
    """Notifications of the events, numbered from `seq` on."""
    ids = _ids(turn_id, session_id)
    return b"".join(_frame(ids, seq + i, event) for i, event in enumerate(events))


def stored_frames(turn_id: str, session_id: str, events: Iterable[tuple[int, str, dict[str, object]]]) -> bytes:
    """Notifications of events as the stored log has them: number, method, parameters."""
    ids = _ids(turn_id, session_id)
    return b"".join(_frame_of(ids, seq, method, params) for seq, method, params in events)


def _ids(turn_id: str, session_id: str) -> str:
    return f'"turn_id":"{turn_id}","session_id":"{session_id}","seq":'


def _frame(ids: str, seq: int, event: TurnEvent) -> bytes:
    # Deltas are written by hand: they are 20,000 a second, the rest a handful.
    if isinstance(event, TurnDelta):
        text = encode_basestring(event.text)
        made = (
            f'{{"jsonrpc":"2.0","method":"turn.delta","params":{{{ids}{seq},'
            f'"text":{text},"channel":"{event.channel}"}}}}\n'
        )
        return made.encode("utf-8", "replace")
    try:
        return _frame_of(ids, seq, event.method, dump(event))
    except (ValueError, TypeError, RecursionError) as error:
        log_unexpected(log, error, f"encoding {event.method}")
        shown = TurnNotice(code="unreadable", text=f"{event.method} cannot be shown")
        return _frame_of(ids, seq, shown.method, dump(shown))


def _frame_of(ids: str, seq: int, method: str, params: dict[str, object]) -> bytes:
    body = encode(params)[1:-2].decode("utf-8")
    separator = "," if body else ""
    return f'{{"jsonrpc":"2.0","method":"{method}","params":{{{ids}{seq}{separator}{body}}}}}\n'.encode()
