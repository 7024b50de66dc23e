"""The outermost layer: which requests are let in at all, before anything looks at their path. Does no I/O.

A browser on this machine can be told by any web page to send requests to a port of this machine, also under a name
that leads here only now (DNS rebinding). So a request has to name a host that is known, must not come from another
site's page, and over TCP brings the key, which no page can know. A browser that has signed in brings a cookie in the
place of the key; it opens the pages for people and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from agentgw_daemon.gateway.http.door import Door
from agentgw_daemon.gateway.http.messages import Headers, HttpAnswer, HttpRequest
from agentgw_daemon.gateway.http.refusal import HttpRefused

_HOST: Final = re.compile(r"[A-Za-z0-9._\-\[\]:]{1,255}")
_BEARER: Final = re.compile(r"(?i)bearer +(\S+) *")
# Of browsers: a page of this very origin, or the user's own doing such as an address that was typed.
_OWN_SITE: Final = ("same-origin", "none")
# An answer that says nothing, so that whoever watches over the daemon needs no key.
KEYLESS_PATH: Final = "/health"
# It takes a one-time code in the place of the key, and looks at that before all else.
SIGN_IN_PATH: Final = "/sign-in"
_ALLOWED_METHODS: Final = "GET, HEAD, POST, DELETE"
_ALLOWED_HEADERS: Final = "authorization, x-api-key, content-type, last-event-id"
# Browsers do not keep the answer to a preflight for longer than this anyway.
_PREFLIGHT_KEPT_S: Final = 600


def admit(request: HttpRequest, door: Door, *, signed_in: bool = False) -> HttpAnswer | None:
    """Let a request in, or answer it here when it is a browser's question beforehand. Raises HttpRefused.

    `signed_in`: it has the cookie of a session; which routes that is enough for is not decided here.
    """
    host = _checked_host(request, door)
    allowed = _check_origin(request, door, host)
    if allowed and request.method == "OPTIONS" and request.all("access-control-request-method"):
        return _preflight()
    keyless = request.method in ("GET", "HEAD") and request.path in (KEYLESS_PATH, SIGN_IN_PATH)
    if not (keyless or signed_in or has_key(request, door)):
        raise key_refused()
    if any("websocket" in value.lower() for value in request.all("upgrade")):
        raise HttpRefused(405, "MethodNotAllowed", "no WebSocket is spoken here", hint="event streams are plain GET")
    return None


def allowed_origin_headers(request: HttpRequest, door: Door) -> Headers:
    """Headers that let the page of an allowed site read the answer; none for anybody else."""
    origins = request.all("origin")
    if len(origins) == 1 and origins[0] in door.origins:
        return (("access-control-allow-origin", origins[0]), ("vary", "Origin"))
    return ()


def digest_of(key: str) -> bytes:
    """The digest that is kept of a key: comparing digests takes the same time whatever they begin with."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _checked_host(request: HttpRequest, door: Door) -> str:
    hosts = request.all("host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise HttpRefused(400, "HostMalformed", "a request needs exactly one Host header, a name and a port")
    host = hosts[0].lower()
    if door.hosts is not None and host not in door.hosts:
        raise HttpRefused(
            403, "HostRefused", f"the host {host[:100]} is none of those that this daemon goes by",
            hint=f'if it is yours, add it to http.allow_hosts in config.toml: allow_hosts = ["{host[:100]}"]',
        )  # fmt: skip
    return host


def _check_origin(request: HttpRequest, door: Door, host: str) -> bool:
    """Tells whether it comes from the page of an allowed site; raises HttpRefused for that of any other."""
    origins = request.all("origin")
    if len(origins) > 1:
        raise HttpRefused(400, "OriginMalformed", "a request has at most one Origin header")
    allowed = bool(origins) and origins[0] in door.origins
    if origins and not allowed and origins[0].lower() != f"http://{host}":
        raise _foreign(origins[0])
    sites = request.all("sec-fetch-site")
    if not allowed and any(site.lower() not in _OWN_SITE for site in sites):
        raise _foreign(origins[0] if origins else "another site")
    return allowed


def _foreign(origin: str) -> HttpRefused:
    shown = "".join(c if c.isprintable() and c.isascii() else "?" for c in origin[:100])
    return HttpRefused(
        403, "OriginRefused", f"a page of {shown} may not call this daemon",
        hint="if it is yours, add its origin, as https://app.example, to http.allow_origins in config.toml",
    )  # fmt: skip


def _preflight() -> HttpAnswer:
    return HttpAnswer(
        status=204,
        headers=(
            ("access-control-allow-methods", _ALLOWED_METHODS),
            ("access-control-allow-headers", _ALLOWED_HEADERS),
            ("access-control-max-age", str(_PREFLIGHT_KEPT_S)),
        ),
    )


def key_refused() -> HttpRefused:
    """The one refusal of whoever brings neither key nor cookie, whatever was wrong."""
    return HttpRefused(
        401, "KeyRefused", "the key is missing or wrong",
        hint="send it as `Authorization: Bearer KEY` or `x-api-key: KEY`; AGENTGW_API_KEY or the file named by"
        " `agentgw status --json` holds it; `agentgw web --open` signs a browser in",
        headers=(("www-authenticate", 'Bearer realm="agentgw"'),),
    )  # fmt: skip


def has_key(request: HttpRequest, door: Door) -> bool:
    """Tells whether the door asks for no key, or one of the two headers, given once, holds it.

    Both are looked at whatever the first one says.
    """
    digest = door.key_digest
    if digest is None:
        return True
    bearers, keys = request.all("authorization"), request.all("x-api-key")
    found = _BEARER.fullmatch(bearers[0]) if len(bearers) == 1 else None
    given = (found[1] if found else "", keys[0] if len(keys) == 1 else "")
    # Values of headers are latin-1, and so is what a key's bytes were read as.
    matches = [hmac.compare_digest(hashlib.sha256(one.encode("latin-1")).digest(), digest) for one in given]
    return any(matches)
