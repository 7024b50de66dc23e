"""Styles and scripts of the pages: their addresses hold the digest of their bytes, so browsers keep them for good."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.gateway.http.messages import HttpAnswer
from agentgw_daemon.gateway.http.refusal import HttpRefused
from agentgw_daemon.gateway.routing.routes import Route

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange

FOLDER: Final = Path(__file__).parents[1] / "assets"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
# htmx looks at the page as soon as it runs, so what extends it has to come with it: in a file of its own, which may
# come later on a slow connection, it would be too late for what is on the page already.
HTMX: Final = "htmx-with-sse.js"
_PARTS: Final = ("htmx.js", "hx-sse.js")
# Of its address nothing else will ever be served.
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_DIGEST_CHARS: Final = 16


@record
class Asset:
    """One file, as it is and compressed."""

    name: str
    digest: str
    body: bytes
    packed: bytes
    content_type: str

    @property
    def address(self) -> str:
        """The path that it is served under."""
        return f"/assets/{self.digest}/{self.name}"


@cache
def assets() -> dict[str, Asset]:
    """All files by their names. They are those of this version, read once."""
    files = [path for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES and path.name not in _PARTS]
    bundle = b"\n".join((FOLDER / part).read_bytes() for part in _PARTS)
    return {HTMX: _made(HTMX, bundle)} | {path.name: _made(path.name, path.read_bytes()) for path in files}


def address_of(name: str) -> str:
    """The path of a file."""
    return assets()[name].address


def _made(name: str, body: bytes) -> Asset:
    return Asset(
        name=name, digest=hashlib.sha256(body).hexdigest()[:_DIGEST_CHARS], body=body,
        packed=gzip.compress(body, mtime=0), content_type=_TYPES[Path(name).suffix],
    )  # fmt: skip


async def asset(exchange: Exchange) -> HttpAnswer:
    """One file, or the word that the browser has it already. Raises HttpRefused."""
    found = assets().get(exchange.path_values["name"])
    if found is None or found.digest != exchange.path_values["digest"]:
        raise HttpRefused(404, "NoSuchAsset", "this page is of another version", hint="load the page anew")
    tag = f'"{found.digest}"'
    headers = (("cache-control", _FOR_GOOD), ("etag", tag), ("vary", "accept-encoding"))
    if tag in exchange.request.one("if-none-match"):
        return HttpAnswer(status=304, headers=headers)
    if "gzip" in exchange.request.one("accept-encoding"):
        return HttpAnswer(
            body=found.packed, content_type=found.content_type, headers=(*headers, ("content-encoding", "gzip"))
        )
    return HttpAnswer(body=found.body, content_type=found.content_type, headers=headers)


ASSETS: Final = (
    Route(
        method="GET", path="/assets/{digest}/{name}", page=True, respond=asset,
        doc="Styles and scripts of the pages, kept by browsers for good.",
    ),
)  # fmt: skip
