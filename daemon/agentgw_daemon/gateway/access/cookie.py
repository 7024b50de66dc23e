"""Cookie of a browser's session. Does no I/O."""

from __future__ import annotations

from typing import Final

from agentgw_daemon.gateway.http.messages import HttpRequest

# Cookies know no ports, so two daemons on one machine need two names.
_NAME: Final = "agentgw-{port}"
_DEFAULT_PORT: Final = "80"


def session_of(request: HttpRequest) -> str:
    """The token that a request brings along, given once; empty where it brings none."""
    wanted, found = cookie_name(request), []
    for header in request.all("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == wanted:
                found.append(value)
    return found[0] if len(found) == 1 else ""


def session_cookie(request: HttpRequest, token: str) -> tuple[str, str]:
    """The header that has a browser keep a token until it is closed; an empty one is forgotten at once."""
    # Not `Secure`: this is plain HTTP on one machine, where some browsers would then not keep it.
    age = "" if token else "; Max-Age=0"
    return "set-cookie", f"{cookie_name(request)}={token}; Path=/; HttpOnly; SameSite=Strict{age}"


def cookie_name(request: HttpRequest) -> str:
    """Name of the cookie, by the port in Host, which has been looked at before."""
    port = request.one("host").rpartition(":")[2]
    return _NAME.format(port=port if port.isascii() and port.isdigit() else _DEFAULT_PORT)
