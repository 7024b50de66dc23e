"""Handlers that no hostile request may reach, and paths of routes to try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentgw.protocol.calls.shared import Done
from agentgw.protocol.methods import METHODS
from agentgw_daemon.gateway.routing.routes import Route
from agentgw_daemon.server.calls.request import Handler


def path_of(route: Route) -> str:
    """The path of a route with something in the place of each name."""
    return "/".join("x" if part.startswith("{") else part for part in route.path.split("/"))


class Untouched:
    """Handlers of every method, none of which may be called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def handlers(self) -> Mapping[str, Handler]:
        """All of them."""

        def note(name: str) -> Handler:
            def handler(request: Any, params: Any) -> Done:
                self.calls.append(name)
                return Done()

            return handler

        return {name: note(name) for name in METHODS}
