"""Refusals and failures for people: a page that says what to do, or a line in the page that asked.

The page has no script, and its one style is allowed by its digest, so all refusals of strangers are the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Final

from agentgw_daemon.gateway.access.admission import key_refused
from agentgw_daemon.gateway.http.messages import Headers, HttpAnswer
from agentgw_daemon.gateway.http.refusal import HttpRefused, error_answer
from agentgw_daemon.gateway.pages.rendering.assets import FOLDER
from agentgw_daemon.gateway.pages.rendering.templates import HTML, rendered

if TYPE_CHECKING:
    from agentgw.protocol.errors import RpcError
    from agentgw_daemon.gateway.http.messages import HttpRequest
    from agentgw_daemon.text.secrets import Secrets

_SIGN_IN_NAME: Final = key_refused().name


def is_for_a_person(request: HttpRequest) -> bool:
    """Tells whether a browser wants to show the answer. Programs that take anything are given JSON."""
    return "text/html" in request.one("accept") or request.one("hx-request") == "true"


def refused_page(request: HttpRequest, refused: HttpRefused) -> HttpAnswer:
    """A refusal as a page, or as a line for the page that is open."""
    signed_out = refused.name == _SIGN_IN_NAME
    hint = "Run `agentgw web --open` and this page opens signed in." if signed_out else refused.hint
    message = "You are not signed in." if signed_out else refused.message
    return _problem(request, refused.status, message, hint, refused.headers, signed_out=signed_out)


def failed_page(request: HttpRequest, error: RpcError, secrets: Secrets) -> HttpAnswer:
    """A call that failed, likewise, without anything that is secret."""
    plain = error_answer(error, secrets)
    message, hint = secrets.redact(error.message), secrets.redact(error.hint or "")
    return _problem(request, plain.status, message, hint, plain.headers)


def _problem(
    request: HttpRequest, status: int, message: str, hint: str, headers: Headers, *, signed_out: bool = False
) -> HttpAnswer:
    if request.one("hx-request") == "true":
        text = rendered("problem_line.html", message=message, hint=hint)
        # The page that asked stays as it is.
        headers = (*headers, ("hx-retarget", "#problem"), ("hx-reswap", "innerHTML"))
    else:
        style, policy = problem_style()
        text = rendered("problem.html", message=message, hint=hint, style=style, signed_out=signed_out, status=status)
        headers = (*headers, ("content-security-policy", policy))
    return HttpAnswer(status=status, body=text.encode("utf-8", "replace"), content_type=HTML, headers=headers)


@cache
def problem_style() -> tuple[str, str]:
    """The style of these pages, and the policy that allows it alone."""
    text = (FOLDER / "problem.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    rules = (
        "default-src 'none'", f"style-src 'sha256-{digest}'", "img-src data:", "form-action 'none'", "base-uri 'none'",
        "frame-ancestors 'none'",
    )  # fmt: skip
    return text, "; ".join(rules)
