"""Doors for HTTP, as `daemon.status` shows them."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol.schema import record


@record
class SignInLink:
    """A link that signs a browser in, once."""

    url: Annotated[str, "with a one-time code in it"]
    valid_s: Annotated[float, "it works for so long"]


@record
class HttpStatus:
    """Doors for HTTP."""

    socket: Annotated[str | None, "of the file system; it asks for no key"] = None
    address: Annotated[str | None, "over TCP, which asks for the key"] = None
    key_file: Annotated[str | None, "where the key is, unless the daemon was given it"] = None
    error: Annotated[str | None, "why a door is missing"] = None
