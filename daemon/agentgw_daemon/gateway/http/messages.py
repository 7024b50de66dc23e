"""HTTP requests and answers as values. Does no I/O."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_to_bytes

from agentgw.protocol.records.schema import record
from agentgw.transport.framing import encode

JSON: Final = "application/json"
Headers = tuple[tuple[str, str], ...]

# Of every answer. Nothing here is for other sites to embed, to guess the type of, or to keep.
SAFE_HEADERS: Final[Headers] = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
)


@record
class HttpRequest:
    """The head of a request. `path` begins with a slash and is still percent-encoded; names of headers are small."""

    method: str
    path: str
    query: str
    headers: Headers

    def all(self, name: str) -> tuple[str, ...]:
        """The values of every header of this name, in their order."""
        return tuple(value for known, value in self.headers if known == name)

    def one(self, name: str) -> str:
        """The value of the first header of this name, or the empty string."""
        return next(iter(self.all(name)), "")

    def segments(self) -> tuple[str, ...]:
        """The parts of the path between slashes, decoded. Raises ValueError where they are no UTF-8."""
        return tuple(unquote_to_bytes(part).decode("utf-8") for part in self.path.split("/")[1:])


@record
class HttpAnswer:
    """A whole answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Headers = ()


def is_json(request: HttpRequest) -> bool:
    """Tells whether its body is said to be JSON, once and for sure."""
    return [value.partition(";")[0].strip().lower() for value in request.all("content-type")] == [JSON]


def json_answer(value: Any, status: int = 200, headers: Headers = ()) -> HttpAnswer:
    """A JSON value as an answer, ended by a newline as a terminal wants it."""
    return HttpAnswer(status=status, body=encode(value), headers=headers)


def html_answer(text: str) -> HttpAnswer:
    """A page. It needs no style and no script, so the policy of every answer holds for it too."""
    return HttpAnswer(body=text.encode(), content_type="text/html; charset=utf-8")
