"""A model hub on 127.0.0.1 that can misbehave in every way a download must survive."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

HELD_S = 10.0


@dataclass
class Answer:
    """Answer to one download request; what is not set is done properly."""

    drop_after: int | None = None
    """Close the connection after so many bytes of the body."""
    hold_after: int | None = None
    """Send no more after so many bytes until the hub is released."""
    ignore_range: bool = False
    status: int | None = None
    location: str | None = None
    length: int | None = None
    """Announce this Content-Length (or total of Content-Range)."""
    without_length: bool = False
    body: bytes | None = None
    etag: str | None = None
    range_from: int | None = None
    """Answer a range request from here instead."""
    encoding: str | None = None


@dataclass
class Row:
    """A file of a repository."""

    body: bytes
    sha256: str | None = ""
    size: int | None = None


@dataclass
class Request:
    """Request of the client."""

    path: str
    headers: dict[str, str]


@dataclass
class Hub:
    """Repositories by `OWNER/REPO`, and the answers of the next downloads in order; then proper ones."""

    url: str = ""
    files: dict[str, dict[str, Row]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    tags: list[str] = field(default_factory=lambda: ["gguf", "license:apache-2.0"])
    page_size: int = 1000
    list_status: int = 200
    list_body: bytes | None = None
    next_page: str | None = None
    """The address of the page that follows, instead of the next of the list."""
    gated: set[str] = field(default_factory=set)
    """Repositories whose files are given to accounts with access only."""
    hidden: bool = False
    """Gated repositories do not even list their files to others."""
    tokens: dict[str, bool] = field(default_factory=dict)
    """Tokens the hub knows, and if their account has access to what is gated."""

    def add(self, repo: str, path: str, body: bytes, sha256: str | None = "", size: int | None = None) -> str:
        """Adds a file; gives its digest. Another digest or size than the true one is a lie of the list."""
        self.files.setdefault(repo, {})[path] = Row(body, sha256, size)
        return hashlib.sha256(body).hexdigest()

    @property
    def downloads(self) -> list[Request]:
        """The requests for files' bytes."""
        return [request for request in self.requests if "/resolve/" in request.path]

    def tree(self, repo: str) -> list[dict[str, Any]]:
        """The list of a repository's files as the hub writes it."""
        rows: list[dict[str, Any]] = [{"type": "directory", "path": "sub", "size": 0, "oid": "0" * 40}]
        for path, row in self.files[repo].items():
            entry: dict[str, Any] = {"type": "file", "path": path, "oid": "0" * 40}
            entry["size"] = len(row.body) if row.size is None else row.size
            if row.sha256 is not None:
                oid = row.sha256 or hashlib.sha256(row.body).hexdigest()
                entry["lfs"] = {"oid": oid, "size": entry["size"], "pointerSize": 134}
            rows.append(entry)
        return rows


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub for the time of the context."""
    hub = Hub()

    class Handler(_Handler):
        served = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.released.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: Hub

    def log_message(self, *args: Any) -> None:
        """The tests read `requests`."""

    def do_GET(self) -> None:
        self.served.requests.append(Request(self.path, dict(self.headers.items())))
        parts = urlsplit(self.path)
        if (status := self._gate(parts.path)) is not None:
            self._json({"error": "as the gate says"}, status, code="GatedRepo")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/main", parts.path):
            self._list(found[1], parts.query)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)", parts.path):
            self._json({"id": found[1], "tags": self.served.tags})
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/main/(.+)", parts.path):
            self._download(found[1], found[2])
        else:
            self._json({"error": "no route"}, 404)

    def _gate(self, path: str) -> int | None:
        """The status that stands in the way of a gated repository."""
        hub = self.served
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in hub.tokens:
            return 401
        wanted = [repo for repo in hub.gated if f"/{repo}/" in path and ("/resolve/" in path or hub.hidden)]
        if not wanted or hub.tokens.get(token):
            return None
        return 403 if token else 401

    def _list(self, repo: str, query: str) -> None:
        if self.served.list_body is not None:
            self._send(self.served.list_body)
        elif self.served.list_status != 200 or repo not in self.served.files:
            self._json({"error": "Repository not found"}, self.served.list_status if repo in self.served.files else 401)
        else:
            rows, size = self.served.tree(repo), self.served.page_size
            start = int(found[1]) if (found := re.search(r"cursor=(\d+)", query)) else 0
            link = f'<{self.served.url}{urlsplit(self.path).path}?recursive=true&cursor={start + size}>; rel="next"'
            if self.served.next_page is not None:
                self._json(rows, link=f'<{self.served.next_page}>; rel="next"')
            else:
                self._json(rows[start : start + size], link=link if start + size < len(rows) else None)

    def _json(self, value: Any, status: int = 200, link: str | None = None, code: str | None = None) -> None:
        self._send(json.dumps(value).encode(), status, link, code)

    def _send(self, body: bytes, status: int = 200, link: str | None = None, code: str | None = None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", str(len(body)))
        if link is not None:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(body)

    def _download(self, repo: str, path: str) -> None:
        answer = self.served.answers.pop(0) if self.served.answers else Answer()
        row = self.served.files.get(repo, {}).get(path)
        if answer.location is not None:
            self.send_response(answer.status or 302)
            self.send_header("Location", answer.location)
            self.end_headers()
        elif answer.status is not None or row is None:
            self._json({"error": "as told"}, answer.status or 404)
        else:
            self._bytes(row.body if answer.body is None else answer.body, answer)

    def _bytes(self, body: bytes, answer: Answer) -> None:
        etag = answer.etag or f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and not answer.ignore_range and self.headers.get("If-Range", etag) == etag:
            start = int(asked[1]) if answer.range_from is None else answer.range_from
            self.send_response(206)
            total = answer.length or len(body)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{total}")
            self.send_header("Content-Length", str(len(body) - start))
        else:
            self.send_response(200)
            if not answer.without_length:
                self.send_header("Content-Length", str(answer.length or len(body)))
        self.send_header("ETag", etag)
        if answer.encoding is not None:
            self.send_header("Content-Encoding", answer.encoding)
        self.end_headers()
        self._write(body[start:], answer)

    def _write(self, body: bytes, answer: Answer) -> None:
        self.close_connection = True
        stop = answer.drop_after if answer.drop_after is not None else answer.hold_after
        try:
            self.wfile.write(body[:stop])
            self.wfile.flush()
            if answer.hold_after is not None:
                self.served.released.wait(HELD_S)
                self.wfile.write(body[stop:])
        except OSError:
            return  # the client has left, which is what some tests are about
