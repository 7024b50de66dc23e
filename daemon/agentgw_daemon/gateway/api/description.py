"""The API described: for people as plain HTML without style, script or further requests, for programs as OpenAPI."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING

from agentgw_daemon.gateway.api.openapi import field_names, openapi, other_names
from agentgw_daemon.gateway.http.messages import HttpAnswer, html_answer, json_answer
from agentgw_daemon.gateway.routing.routes import Route, RouteTable

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange


def description(table: RouteTable) -> tuple[Route, ...]:
    """The routes that describe those of `table`."""

    async def docs(_: Exchange) -> HttpAnswer:
        return html_answer(_docs(table))

    async def document(_: Exchange) -> HttpAnswer:
        return json_answer(openapi(table.api))

    return (
        Route(method="GET", path="/docs", page=True, doc="What programs can ask for, for people.", respond=docs),
        Route(method="GET", path="/openapi.json", page=True, doc="The same as an OpenAPI document.", respond=document),
    )


@cache
def _docs(table: RouteTable) -> str:
    rows = "".join(
        f"<tr><td><code>{route.method} {escape(route.path)}</code></td><td>{escape(route.doc)}</td>"
        f"<td>{escape(', '.join(fields_shown(route)))}</td></tr>\n"
        for route in table.api
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
