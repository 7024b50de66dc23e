"""Turns of a session as pages show them: those that have ended with all they gave, one that runs as a place for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.turns import TurnAttachParams, TurnIdParams, TurnListParams
from agentgw.protocol.errors import RpcError
from agentgw.protocol.records.schema import bind, record
from agentgw_daemon.gateway.http.refusal import error_value
from agentgw_daemon.gateway.pages.chat.live import WholeTurn, foot_of
from agentgw_daemon.storage.rows import LIVE_STATES

if TYPE_CHECKING:
    from agentgw.protocol.calls.turns import TurnResult
    from agentgw.protocol.types import Turn
    from agentgw_daemon.gateway.routing.exchange import Exchange

# A page of more would be long to make: its first byte is to come within 50 ms.
_SHOWN_TURNS: Final = 6
_SHOWN_CHARS: Final = 20_000
# That were begun since a page was last told of some.
_MOST_NEWS: Final = 10
_PAGE: Final = 1000


@record
class ShownTurn:
    """A turn, what was asked, and what came of it unless it still runs."""

    turn: Turn
    message: str
    whole: WholeTurn
    result: TurnResult | None
    error: dict[str, Any] | None
    rating: int | None

    @property
    def runs(self) -> bool:
        """Tells whether more of it is to come."""
        return self.turn.state in LIVE_STATES

    def html(self) -> str:
        """HTML of the turn's items; making it is the slow part of a page."""
        return self.whole.html()

    def foot(self, form_token: str) -> str:
        """The lines below it, whose forms need no script."""
        return foot_of(self.turn.turn_id, self.result, self.error, self.rating, form_token=form_token)


async def turns_before(exchange: Exchange, session_id: str, before: str | None) -> dict[str, Any]:
    """A page's turns, the oldest first, and where earlier ones begin. `last`: the newest of all, for a first page."""
    values = {"session_id": session_id, "limit": _SHOWN_TURNS, "before": before}
    listed = await exchange.call("turn.list", bind(TurnListParams, values))
    last = listed.turns[0].turn_id if listed.turns and before is None else ""
    shown = await _shown(exchange, listed.turns, most_chars=_SHOWN_CHARS)
    following = listed.next
    if len(shown) < len(listed.turns):
        following = (await exchange.call("turn.list", bind(TurnListParams, {**values, "limit": len(shown)}))).next
    return {"turns": shown, "next": following, "last": last, "is_latest": before is None}


async def turns_after(exchange: Exchange, session_id: str, after: str) -> dict[str, Any]:
    """The turns since one that the page has, with the oldest first. All of the latest where it has none of them."""
    listed = await exchange.call("turn.list", TurnListParams(session_id=session_id, limit=_MOST_NEWS))
    fresh = []
    for turn in listed.turns:
        if turn.turn_id == after:
            break
        fresh.append(turn)
    last = fresh[0].turn_id if fresh else after
    return {"turns": await _shown(exchange, tuple(fresh)), "last": last}


async def running_turn(exchange: Exchange, session_id: str) -> Turn | None:
    """The turn that runs in a session."""
    listed = await exchange.call("turn.list", TurnListParams(session_id=session_id, running=True, limit=1))
    return listed.turns[0] if listed.turns else None


async def turn_before(exchange: Exchange, turn: Turn) -> str | None:
    """The turn before another one in its session."""
    before, found = None, False
    while True:
        values = TurnListParams(session_id=turn.session_id, limit=_PAGE, before=before)
        listed = await exchange.call("turn.list", values)
        for one in listed.turns:
            if found:
                return str(one.turn_id)
            found = one.turn_id == turn.turn_id
        before = listed.next
        if before is None:
            return None


async def _shown(
    exchange: Exchange, newest_first: tuple[Turn, ...], *, most_chars: int | None = None
) -> list[ShownTurn]:
    """The turns with the oldest first; with `most_chars` only the newest of them that have no more together."""
    shown: list[ShownTurn] = []
    chars = 0
    for turn in newest_first:
        one = await _shown_turn(exchange, turn)
        # The message is there to be read and to be edited.
        chars += 2 * len(one.message) + one.whole.size
        if shown and most_chars is not None and chars > most_chars:
            break
        shown.append(one)
    return shown[::-1]


async def _shown_turn(exchange: Exchange, turn: Turn) -> ShownTurn:
    detail = await exchange.call("turn.show", TurnIdParams(turn_id=turn.turn_id))
    whole = WholeTurn(turn.turn_id)
    result, error = None, None
    if turn.state not in LIVE_STATES:
        try:
            result = await exchange.call_into("turn.attach", TurnAttachParams(turn_id=turn.turn_id), whole)
        except RpcError as failed:
            error = exchange.gateway.redacted(error_value(failed))
    return ShownTurn(turn=turn, message=detail.message, whole=whole, result=result, error=error, rating=detail.rating)
