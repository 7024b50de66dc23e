"""Pages for people: what is here, and what can be asked for. Plain HTML, without style, script or further requests."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Final

from agentgw import __version__
from agentgw_daemon.gateway.api.openapi import field_names, openapi, other_names
from agentgw_daemon.gateway.http.messages import HttpAnswer, html_answer, json_answer
from agentgw_daemon.gateway.routing.routes import Route, RouteTable

if TYPE_CHECKING:
    from agentgw_daemon.gateway.exchange import Exchange


async def home(exchange: Exchange) -> HttpAnswer:
    """Answers with what this is and where to go on."""
    return html_answer(
        _page(
            "agentgw",
            f"<p>The daemon of agentgw {__version__} answers here, with the sessions, skills, documents and approvals"
            ' that the command line has.</p>\n<ul>\n<li><a href="/docs">What can be asked for</a></li>\n'
            '<li><a href="/openapi.json">The same as an OpenAPI document</a></li>\n'
            '<li><a href="/daemon/status">What runs</a></li>\n</ul>\n',
        )
    )


async def docs(exchange: Exchange) -> HttpAnswer:
    """Every route with its fields."""
    return html_answer(_docs(exchange.gateway.routes))


async def document(exchange: Exchange) -> HttpAnswer:
    """The OpenAPI document."""
    return json_answer(openapi(exchange.gateway.routes.routes))


@cache
def _docs(table: RouteTable) -> str:
    rows = "".join(
        f"<tr><td><code>{route.method} {escape(route.path)}</code></td><td>{escape(route.doc)}</td>"
        f"<td>{escape(', '.join(fields_shown(route)))}</td></tr>\n"
        for route in table.routes
    )
    return _page(
        "The API of agentgw",
        "<p>Fields are those of the method on the socket; a POST takes them as a JSON object, the others in the query."
        ' All of it as a document for programs: <a href="/openapi.json">openapi.json</a>.</p>\n'
        f"<table>\n<thead><tr><th>route</th><th>what it does</th><th>fields</th></tr></thead>\n<tbody>\n{rows}"
        "</tbody>\n</table>\n",
    )


def fields_shown(route: Route) -> list[str]:
    """Names of a route's fields, other names in brackets."""
    others = other_names(route)
    shown = []
    for name in field_names(route):
        also = [given for given, known in others.items() if known == name]
        shown.append(f"{name} ({', '.join(also)})" if also else name)
    return shown


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>\n</head>\n<body>\n<main>\n'
        f"<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )


PAGES: Final = (
    Route(method="GET", path="/", doc="What is here.", respond=home),
    Route(method="GET", path="/docs", doc="This table, for people.", respond=docs),
    Route(method="GET", path="/openapi.json", doc="This table as an OpenAPI document.", respond=document),
)
