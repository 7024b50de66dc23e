"""Results and events of turns that have ended, from what is stored of them."""

from __future__ import annotations

from agentgw.protocol.calls.turns import TurnDetail, TurnResult
from agentgw.protocol.errors import RpcError, TurnCancelled, from_wire


def outcome_of(detail: TurnDetail) -> TurnResult:
    """The result that its `turn.start` gave. Raises TurnCancelled, or the failure as it was."""
    turn = detail.turn
    if turn.state == "failed":
        raise _failed(detail)
    if turn.state == "interrupted":
        raise _cut_off(detail)
    return TurnResult(
        turn_id=turn.turn_id, session_id=turn.session_id, text=detail.text, finish_reason=turn.finish_reason,
        usage=detail.usage, timings=detail.timings, tool_calls=detail.tool_calls, sources=detail.sources,
        last_seq=turn.last_seq,
    )  # fmt: skip


def _failed(detail: TurnDetail) -> RpcError:
    message = detail.turn.error or "the turn failed"
    if detail.failure is None:
        return RpcError(message)
    return from_wire({"code": detail.failure.code, "message": message, "data": detail.failure.data})


def _cut_off(detail: TurnDetail) -> TurnCancelled:
    message = detail.turn.error or "the turn was cut off when the daemon ended"
    hint = "its text so far is kept in the session"
    under_way = [call.tool for call in detail.tool_calls if call.ok is None]
    if under_way:
        message = f"{message}, while {under_way[-1]} was carried out: whether it had its effect is not known"
        hint = "look before you ask for it again"
    return TurnCancelled(message, hint=hint, turn_id=detail.turn.turn_id)
