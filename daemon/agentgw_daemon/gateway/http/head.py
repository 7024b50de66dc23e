"""Head of a request, from what h11 has read to a value. Does no I/O."""

from __future__ import annotations

from typing import Final

import h11

from agentgw_daemon.gateway.http.messages import HttpRequest
from agentgw_daemon.gateway.http.refusal import HttpRefused

# Twice what Apache takes for one line; a request with every header of a browser and a key has two of them.
MAX_HEAD_BYTES: Final = 16 << 10
# Of a header's line beside its name and its value: a colon, a blank, CR and LF.
_BESIDE_BYTES: Final = 4


def request_of(event: h11.Request) -> HttpRequest:
    """The head as a value. Raises HttpRefused for one that two readers may read in two ways."""
    lines = (len(name) + len(value) + _BESIDE_BYTES for name, value in event.headers)
    if len(event.target) + sum(lines) > MAX_HEAD_BYTES:
        # h11 counts only what it has to keep; this one came at once.
        raise head_too_large()
    headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers)
    target = event.target.decode("latin-1")
    request = HttpRequest(
        method=event.method.decode("ascii"), path=target.partition("?")[0], query=target.partition("?")[2],
        headers=headers,
    )  # fmt: skip
    if not target.startswith("/"):
        raise HttpRefused(400, "TargetMalformed", "the target of a request begins with a slash")
    if request.all("transfer-encoding") and request.all("content-length"):
        raise HttpRefused(400, "BodyMalformed", "Content-Length and Transfer-Encoding exclude each other")
    return request


def head_too_large() -> HttpRefused:
    """The refusal of a head that is longer than all that a browser sends."""
    return HttpRefused(431, "HeadTooLarge", f"the head of a request has at most {MAX_HEAD_BYTES} bytes")
