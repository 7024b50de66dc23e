"""Table of routes, and how a path finds its own. Does no I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from agentgw.protocol.records.schema import record
from agentgw_daemon.gateway.http.messages import HttpAnswer, HttpRequest
from agentgw_daemon.gateway.http.refusal import HttpRefused

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange

Respond = Callable[["Exchange"], Awaitable[HttpAnswer | None]]
"""Answers one request. None: it has been answered already, as a stream is."""


@record
class Route:
    """One row: what is asked for, by which method of the socket it is answered, and how.

    `names`: other names of the method's fields, those in braces in the path included. `body`: what a request brings
    along; `upload` takes a document's bytes as well as JSON. `page`: it is for a person's browser, so that a session's
    cookie is enough and a request that changes something must be a form of our own.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    doc: str
    respond: Respond
    calls: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    body: Literal["none", "json", "upload", "form"] = "none"
    streams: bool = False
    page: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The path between its slashes."""
        return tuple(self.path.split("/")[1:])


@record
class Found:
    """A route with the values that the path has in the places of its names."""

    route: Route
    values: Mapping[str, str]


class RouteTable:
    """All routes of a door. A dialect is a table of its own, whose routes make the same calls."""

    def __init__(self, *tables: Iterable[Route]) -> None:
        self.routes = tuple(route for table in tables for route in table)
        # Routes that are no pages.
        self.api = tuple(route for route in self.routes if not route.page)

    def find(self, request: HttpRequest) -> Found:
        """The route of a request. Raises HttpRefused: nothing is there, or not with this method."""
        try:
            segments = request.segments()
        except ValueError:
            raise HttpRefused(400, "PathMalformed", "the path is not UTF-8") from None
        if any(character < " " or character == "\x7f" for segment in segments for character in segment):
            # No name has any, and others read them as the end of one, or as that of a line.
            raise HttpRefused(400, "PathMalformed", "the path has a control character")
        here = [(route, values) for route in self.routes if (values := _match(route, segments)) is not None]
        method = "GET" if request.method == "HEAD" else request.method
        for route, values in here:
            if route.method == method and not (route.streams and request.method == "HEAD"):
                return Found(route=route, values=values)
        if not here:
            raise HttpRefused(404, "NoSuchRoute", "nothing is at this path", hint=self._where_instead(segments))
        known = sorted({route.method for route, _ in here})
        raise HttpRefused(
            405, "MethodNotAllowed", f"this path takes {' and '.join(known)}", headers=(("allow", ", ".join(known)),)
        )

    def _where_instead(self, segments: tuple[str, ...]) -> str:
        """The hint for a path that leads nowhere. Slashes at the end are seldom meant, and easily overlooked."""
        while segments and not segments[-1]:
            segments = segments[:-1]
            if any(_match(route, segments) is not None for route in self.routes):
                return "it is there without the slash at the end"
        return "GET /docs lists what there is"


def _match(route: Route, segments: tuple[str, ...]) -> dict[str, str] | None:
    """The values in the places of the path's names, if it is this path."""
    parts = route.parts
    if len(parts) != len(segments):
        return None
    values = {}
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{"):
            if not segment:
                return None
            values[part[1:-1]] = segment
        elif part != segment:
            return None
    return values
