"""`web.*`: the pages for browsers, as far as the socket has to do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentgw.protocol.calls.web import SignInLink
from agentgw.protocol.errors import NotFound

if TYPE_CHECKING:
    from agentgw.protocol.calls.shared import NoParams
    from agentgw_daemon.server.calls.request import RequestContext


def sign_in(request: RequestContext, params: NoParams) -> SignInLink:
    """A link with a new code. Whoever may use this socket may do all that the pages do. Raises NotFound."""
    make_link = request.daemon.make_sign_in
    if make_link is None:
        status = request.daemon.http
        why = "it serves no HTTP on a port" if status is None or status.error is None else status.error
        raise NotFound(
            f"the daemon has no web pages: {why}",
            hint="stop it and run `agentgw serve --port 8080`, or for good `agentgw config set http.enabled true`,"
            " `agentgw config set http.port 8080` and `agentgw restart`",
            kind="door", id="tcp",
        )  # fmt: skip
    return make_link()


HANDLERS: dict[str, Any] = {"web.sign_in": sign_in}
