"""Signing a browser in by a one-time code, and out again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentgw_daemon.gateway.access.admission import SIGN_IN_PATH, key_refused
from agentgw_daemon.gateway.access.cookie import session_cookie
from agentgw_daemon.gateway.http.messages import HttpAnswer
from agentgw_daemon.gateway.pages.rendering.templates import HTML, moved, rendered
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange

# Browsers send a strict cookie only where our own page leads on, not along a redirect from somewhere else.
_LEADS_ON: Final = "default-src 'none'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_QUERY: Final = re.compile(r"code=([A-Za-z0-9_-]{1,128})")


async def sign_in(exchange: Exchange) -> HttpAnswer:
    """A session for a code that was not used before, and an address without it. Raises HttpRefused."""
    given = _QUERY.fullmatch(exchange.request.query)
    # A stranger does not get to use it up.
    if given is None or exchange.request.method != "GET" or exchange.connection.is_strangers():
        raise key_refused()
    token = exchange.gateway.sign_ins.redeem(given[1])
    if token is None:
        raise key_refused()
    headers = (session_cookie(exchange.request, token), ("content-security-policy", _LEADS_ON))
    return HttpAnswer(body=rendered("signed_in.html").encode(), content_type=HTML, headers=headers)


async def sign_out(exchange: Exchange) -> HttpAnswer:
    """Ends the browser's session."""
    exchange.gateway.sign_ins.end(exchange.session)
    return moved(exchange, "/", (session_cookie(exchange.request, ""),))


SIGN_IN: Final = (
    Route(
        method="GET", path=SIGN_IN_PATH, page=True, respond=sign_in,
        doc="Takes the one-time code of `agentgw web --open` and gives a cookie for the pages.",
    ),
    Route(method="POST", path="/sign-out", page=True, body="form", respond=sign_out, doc="Ends the browser's session."),
)  # fmt: skip
