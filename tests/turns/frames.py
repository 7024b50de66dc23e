"""Events of turns as they go over the socket."""

from __future__ import annotations

import json
from typing import Any

from agentgw.protocol.types import Turn
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.server.calls.turn_frames import stored_frames, turn_frames
from agentgw_daemon.turns.manager import Turns


async def watched(turn: TurnState, from_seq: int = 1) -> list[dict[str, Any]]:
    """The notifications of a turn from `from_seq` on, up to its end."""
    made: list[dict[str, Any]] = []
    async for seq, events in turn.log.watch(from_seq):
        made += read(turn_frames(turn.turn_id, turn.session_id, seq, events))
    return made


async def replayed(turns: Turns, stored: Turn, from_seq: int = 1) -> bytes:
    """The frames of a stored turn."""
    frames = [
        stored_frames(stored.turn_id, stored.session_id, events) async for events in turns.replay(stored, from_seq)
    ]
    return b"".join(frames)


def read(frames: bytes) -> list[dict[str, Any]]:
    """The notifications of some frames."""
    return [json.loads(line) for line in frames.splitlines()]
