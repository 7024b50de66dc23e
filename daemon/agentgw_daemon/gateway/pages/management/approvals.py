"""Calls that wait for a yes as a page, each exactly as it would run, and the rules that earlier answers left."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.approvals import RuleIdParams
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.http.messages import HttpAnswer
from agentgw_daemon.gateway.pages.chat.page_turn import shown_json
from agentgw_daemon.gateway.pages.query import place_of, query_of
from agentgw_daemon.gateway.pages.rendering.templates import fragment, moved, page
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange

_PATH: Final = "/approvals"
# A rule takes 0.8 kB of a page that is to weigh 100 kB at most with all that it loads.
_SHOWN_RULES: Final = 50
# Nobody decides about more at a time; the others come as these are answered.
_SHOWN_WAITING: Final = 20
_BEGINNING_CHARS: Final = 80


async def approvals(exchange: Exchange) -> HttpAnswer:
    """The page, or for one that looks again what waits, if that is not what it shows."""
    waiting = (await exchange.call("approval.list", NoParams())).approvals
    shown_first = waiting[:_SHOWN_WAITING]
    cards = [{"approval": one, "arguments": shown_json(one.arguments), "answer": ""} for one in shown_first]
    more = len(waiting) > len(cards)
    # Cards that are being read stay as they are, with what is folded out in them.
    seen = hashlib.sha256("\n".join((*(one.approval_id for one in shown_first), str(more))).encode()).hexdigest()[:16]
    if exchange.is_fragment:
        if query_of(exchange, "seen") == seen:
            return HttpAnswer(status=204)
        return await fragment(exchange, "approvals_waiting.html", cards=cards, more=more, seen=seen)
    rules, first = (await exchange.call("approval.rules", NoParams())).rules, place_of(exchange, "from")
    shown: list[Any] = [
        {"rule": rule, "arguments": shown_json(rule.arguments), "beginning": _beginning(rule.arguments)}
        for rule in rules[first : first + _SHOWN_RULES]
    ]
    following = first + _SHOWN_RULES if first + _SHOWN_RULES < len(rules) else None
    return await page(
        exchange, "approvals.html", cards=cards, more=more, seen=seen, rules=shown, first=first, next=following
    )


def _beginning(arguments: object) -> str:
    """As much of a rule's arguments as tells it from others of its tool; all of them are folded below."""
    text = json.dumps(arguments, ensure_ascii=False, default=str)
    return text if len(text) <= _BEGINNING_CHARS else f"{text[:_BEGINNING_CHARS]} …"


async def revoke(exchange: Exchange) -> HttpAnswer:
    """Ends a rule: its call is asked about again."""
    await exchange.call("approval.revoke", bind(RuleIdParams, {"rule_id": exchange.fields.get("rule", "")}))
    return moved(exchange, _PATH)


APPROVALS: Final = (
    Route(
        method="GET", path=_PATH, page=True, respond=approvals,
        doc="Calls that wait for a yes, and the rules from number `from` on.",
    ),
    Route(
        method="POST", path="/approvals/rules/revoke", page=True, body="form", respond=revoke, doc="Ends the `rule`."
    ),
)  # fmt: skip
