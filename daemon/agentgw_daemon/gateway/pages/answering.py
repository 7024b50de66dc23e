"""Answers to calls that wait for a yes, as any page gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw.protocol.calls.approvals import ApprovalAnswerParams
from agentgw.protocol.records.schema import bind
from agentgw_daemon.gateway.http.messages import HttpAnswer
from agentgw_daemon.gateway.pages.rendering.templates import moved
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange


async def answer(exchange: Exchange) -> HttpAnswer:
    """Answers an approval; the first answer wins. Pages hear of it as all watchers do."""
    values = {"approval_id": exchange.path_values["approval_id"], "decision": exchange.fields.get("decision", "")}
    await exchange.call("approval.answer", bind(ApprovalAnswerParams, values))
    if exchange.is_fragment:
        return HttpAnswer(status=204, headers=(("hx-trigger", "answered"),))
    return moved(exchange, "/approvals")


ANSWERING: Final = (
    Route(
        method="POST", path="/approvals/{approval_id}", page=True, body="form", respond=answer,
        doc="Answers a call that waits: `decision` is allow_once, allow_session, allow_always or deny.",
    ),
)  # fmt: skip
