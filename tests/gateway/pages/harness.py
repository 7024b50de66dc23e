"""A browser of the pages, without a browser: cookies and tokens, and what stands in a page."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

from agentgw.protocol.calls.turns import TurnResult
from tests.gateway.harness import HOST, TCP, HttpClient, OpenGateway, Reply

ORIGIN = f"http://{HOST}"
# What must be shown as text wherever it comes from.
EVIL = '<img src=x onerror="alert(1)">/&?\'"'
WHEN = "2026-01-01T00:00:00Z"
RESULT = TurnResult(turn_id="t-1", session_id="s-1", text="x", finish_reason="stop")


class Visitor:
    """Somebody who has signed in."""

    def __init__(self, made: OpenGateway) -> None:
        self._made = made
        self.client: HttpClient = made.client(TCP)
        self.token = made.gateway.sign_ins.redeem(made.gateway.sign_ins.make_code()) or ""
        self.form_token = made.gateway.sign_ins.form_token(self.token)
        self.cookie = {"Cookie": f"agentgw-{HOST.rpartition(':')[2]}={self.token}", "Accept": "text/html"}

    async def get(self, target: str, **headers: str) -> Reply:
        """A page."""
        return await self.client.ask("GET", target, headers={**self.cookie, **named(headers)})

    async def post(self, target: str, fields: dict[str, str], **headers: str) -> Reply:
        """A form of our own, with its token."""
        return await self.post_raw(target, {"form-token": self.form_token, **fields}, Origin=ORIGIN, **headers)

    async def post_raw(self, target: str, fields: dict[str, str], **headers: str) -> Reply:
        """A form with these fields alone."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        # A form that is refused before it is read ends its connection.
        return await self._made.client(TCP).ask(
            "POST", target, headers={**self.cookie, **kind, **named(headers)}, body=urlencode(fields).encode()
        )


def named(headers: dict[str, str]) -> dict[str, str]:
    """Headers by the names that they have on the wire."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def text_of(reply: Reply) -> str:
    """The words of a page, as its reader sees them."""
    return unescape(re.sub(r"<[^>]*>", "", reply.body.decode()))
