"""Pages from templates: everything is escaped unless it is HTML of ours, and only our own scripts and styles run.

What stands in a line of ours (a title, a name, a reason) cannot turn that line around either. Text that a person reads
or sends on as it is (a message, a passage, a field's value) is written with `| e`, in an element of its own.

Jinja2 and the templates are loaded beside the first requests (`preparing`): a daemon without HTTP has neither.
"""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from agentgw import __version__
from agentgw.protocol.visible import escaped, harmless
from agentgw_daemon.gateway.http.messages import Headers, HttpAnswer
from agentgw_daemon.gateway.pages.rendering.assets import address_of
from agentgw_daemon.gateway.pages.rendering.words import amount, clock, lines, moment, parts_of, size, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment

    from agentgw_daemon.gateway.routing.exchange import Exchange

T = TypeVar("T")

HTML: Final = "text/html; charset=utf-8"
_FOLDER: Final = Path(__file__).parents[1] / "templates"
_NONCE_BYTES: Final = 16
# More would only share the same interpreter.
_THREADS: Final = trio.CapacityLimiter(4)
# Whose link, and its name.
NAVIGATION: Final = (
    ("/", "Home"), ("/documents", "Documents"), ("/jobs", "Jobs"), ("/approvals", "Approvals"), ("/models", "Models"),
    ("/status", "Status"),
)  # fmt: skip


@cache
def environment() -> Environment:
    """The templates. A name that a template uses and nobody gave is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    def ticked(text: str) -> Markup:
        """A message whose commands stand in backticks, as messages on a terminal have them."""
        return Markup("").join(
            Markup("<code>{}</code>").format(part) if code else escape(part) for part, code in parts_of(harmless(text))
        )

    def shown(value: object) -> object:
        return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False, finalize=shown,
    )  # fmt: skip
    made.globals |= {"asset": address_of, "version": __version__, "navigation": NAVIGATION}
    made.filters |= {"size": size, "moment": moment, "amount": amount, "seen": escaped}
    made.filters |= {"clock": clock, "span": span, "lines": lines, "ticked": ticked}
    return made


def rendered(template: str, **values: Any) -> str:
    """A template with these values, as HTML."""
    return environment().get_template(template).render(values)


async def in_page_thread(make: Callable[[], T]) -> T:
    """Returns what `make` does, from a thread; when cancelled it does not wait for it."""
    return await trio.to_thread.run_sync(make, limiter=_THREADS, abandon_on_cancel=True)


async def page(exchange: Exchange, template: str, *, status: int = 200, **values: Any) -> HttpAnswer:
    """A whole page. Large ones do not hold up the daemon: they are made in a thread."""
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    more = {"nonce": nonce, "form_token": exchange.form_token, "here": exchange.request.path, **values}
    text = await in_page_thread(lambda: rendered(template, **more))
    return HttpAnswer(status=status, body=text.encode("utf-8", "replace"), content_type=HTML, headers=policy(nonce))


async def fragment(exchange: Exchange, template: str, *, headers: Headers = (), **values: Any) -> HttpAnswer:
    """A piece of a page, which a script of ours puts in its place."""
    more = {"form_token": exchange.form_token, **values}
    text = await in_page_thread(lambda: rendered(template, **more))
    return HttpAnswer(body=text.encode("utf-8", "replace"), content_type=HTML, headers=headers)


def moved(exchange: Exchange, path: str, headers: Headers = ()) -> HttpAnswer:
    """A response that has another page opened. `path` is one of ours."""
    if exchange.is_fragment:
        return HttpAnswer(status=204, headers=(("hx-redirect", path), *headers))
    return HttpAnswer(status=303, headers=(("location", path), *headers))


def policy(nonce: str) -> Headers:
    """The rules that a page gives to its browser: our own scripts and styles, and no word to anybody else."""
    rules = (
        "default-src 'none'", f"script-src 'nonce-{nonce}'", f"style-src 'nonce-{nonce}'", "img-src 'self' data:",
        "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )  # fmt: skip
    return (
        ("content-security-policy", "; ".join(rules)),
        # With `no-referrer` browsers would not tell our own forms' origin either.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    )
