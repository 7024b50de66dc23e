"""The body of an endpoint's answer, from bytes to what it says: events, lines, a whole completion, a page. Pure.

What it is, its first bytes tell and not its header: endpoints and what stands in front of them mislabel both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from agentgw_daemon.inference.engines.chunks import ChunkContent, GaveUp, NotUnderstood, index_in, read_piece
from agentgw_daemon.inference.engines.complaints import page_words
from agentgw_daemon.inference.engines.server_events import EventStream, EventTooLarge, ServerEvent

DONE: Final = "[DONE]"
_BOM: Final = b"\xef\xbb\xbf"
_FAILURES: Final = ("error", "exception", "failure", "failed")
_BEATS: Final = frozenset({"ping", "heartbeat", "keepalive", "keep-alive"})
# Blanks that keep a connection open before the answer; more of them say that none comes.
_MOST_BLANKS: Final = 1 << 16
# Bytes within which a page's title surely stands.
_MOST_PAGE_BYTES: Final = 4096
# A body may be complete although its connection stays open; looked at so often.
_MOST_LOOKS: Final = 16


class NotAnApi(Exception):
    """The address answers with a page for people. The text is the page's."""


class Incoming:
    """Takes the bytes of one body of at most `max_bytes` in each of its events.

    `feed` and `close` raise GaveUp, NotUnderstood and NotAnApi, after what came before that.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes: Final = max_bytes
        self._events: Final = EventStream(max_bytes)
        self._body = bytearray()
        self._kind = ""
        self._looks = 0
        # Of a body that begins as JSON: its first line was looked at, or has not ended so far.
        self._judged = False
        self._sought = 0
        # Of the answer among the choices, once there were some.
        self._index: int | None = None
        # The endpoint said that nothing more comes.
        self.done = False

    def feed(self, chunk: bytes) -> Iterator[ChunkContent]:
        """Take a chunk; gives the contents that it completes."""
        if self._kind != "events":
            self._body += chunk
            chunk = b""
            if not self._kind:
                self._kind, chunk = self._told_by_its_start()
            if self._kind == "whole" and self._begins_with_a_chunk():
                self._kind, self._sought = "lines", 0
        if self._kind == "events":
            yield from self._understood(chunk)
        elif self._kind == "page":
            if b"</title>" in self._body.lower() or len(self._body) > _MOST_PAGE_BYTES:
                raise self._page()
        elif self._kind == "lines":
            yield from self._lines()
        elif len(self._body) > self._max_bytes:
            raise NotUnderstood(f"a body of more than {self._max_bytes} bytes")
        elif self._kind == "whole" and self._body.rstrip().endswith((b"}", b"]")) and self._looks < _MOST_LOOKS:
            self._looks += 1
            yield from self._whole(or_nothing=True)

    def close(self) -> Iterator[ChunkContent]:
        """The body has ended."""
        if self.done:
            return
        match self._kind:
            case "whole":
                yield from self._whole()
            case "lines":
                self._body += b"\n"
                yield from self._lines(cut=True)
            case "page":
                raise self._page()
            case _:
                for event in self._events.close():
                    # The last event may have been cut with the connection, and that is told of otherwise.
                    if event.name or not _is_cut(event.data):
                        yield from self._said(event)
                if self._events.strays:
                    # Servers that fail in the middle say so in whatever form comes to hand.
                    what = "something between its events" if self._events.events else "no event stream"
                    raise NotUnderstood(what, self._events.strays.decode("utf-8", "replace"))

    def _page(self) -> NotAnApi:
        return NotAnApi(page_words(self._body[: 4 * _MOST_PAGE_BYTES].decode("utf-8", "replace")))

    def _told_by_its_start(self) -> tuple[str, bytes]:
        """The kind of the body, and the part of it that goes to the reader of events; nothing while that is open."""
        start = bytes(self._body)
        if _BOM.startswith(start):
            return "", b""
        inner = start.removeprefix(_BOM).lstrip()
        if not inner:
            if len(start) > _MOST_BLANKS:
                raise NotUnderstood("nothing but blanks")
            return "", b""
        if inner.startswith(b"<"):
            return "page", b""
        if inner.startswith((b"{", b"[")):
            self._body[:] = inner
            return "whole", b""
        self._body.clear()
        return "events", start

    def _begins_with_a_chunk(self) -> bool:
        """Judges the first line, once, when it has ended."""
        if self._judged:
            return False
        end = self._body.find(b"\n", self._sought)
        self._sought = len(self._body)
        self._judged = end >= 0
        return self._judged and _is_chunk(_value(self._body[:end].decode("utf-8", "replace")))

    def _lines(self, *, cut: bool = False) -> Iterator[ChunkContent]:
        """Each line that has ended, as an event without a name; the last one may be `cut` with the connection."""
        if self._body.find(b"\n", self._sought) < 0:
            # A line that comes in many pieces is looked through once.
            whole: list[bytes] = []
        else:
            *whole, rest = bytes(self._body).split(b"\n")
            self._body[:] = rest
        self._sought = len(self._body)
        for number, line in enumerate(whole, 1):
            data = line.decode("utf-8", "replace").strip()
            if not self.done and not (cut and number == len(whole) and _is_cut(data)):
                yield from self._said(ServerEvent(name="", data=data))
        if len(self._body) > self._max_bytes:
            raise NotUnderstood(f"a line of more than {self._max_bytes} bytes")

    def _understood(self, chunk: bytes) -> Iterator[ChunkContent]:
        try:
            for event in self._events.feed(chunk):
                yield from self._said(event)
                if self.done:
                    return
        except EventTooLarge as error:
            raise NotUnderstood(str(error)) from None

    def _said(self, event: ServerEvent) -> Iterator[ChunkContent]:
        name, data = event.name.lower(), event.data.strip()
        if data == DONE:
            self.done = True
        elif name.endswith(_FAILURES):
            value = _value(data)
            raise GaveUp(data if value is None else value)
        elif data and name not in _BEATS:
            value = _value(data)
            if value is None and data != "null":
                raise NotUnderstood("an event that is no JSON", data)
            yield self._piece(value)

    def _piece(self, value: Any) -> ChunkContent:
        if self._index is None:
            self._index = index_in(value)
        return read_piece(value, self._index or 0)

    def _whole(self, *, or_nothing: bool = False) -> Iterator[ChunkContent]:
        text = self._body.decode("utf-8", "replace")
        value = _value(text)
        if value is None:
            if or_nothing:
                return
            raise NotUnderstood("neither JSON nor an event stream", text)
        if _is_chunk(value) and or_nothing:
            # Others may follow, each on a line.
            return
        self.done = not _is_chunk(value)
        yield self._piece(value)


def _value(text: str) -> Any:
    """The JSON value, None where there is none."""
    try:
        # Some endpoints leave tabs and the like in their texts as they are.
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _is_chunk(value: Any) -> bool:
    """Tells whether it is a piece of an answer that goes on."""
    if not isinstance(value, dict):
        return False
    choices = value.get("choices")
    if value.get("object") == "chat.completion.chunk" and choices == []:
        return True
    choice = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(choice, dict) and "delta" in choice and not choice.get("finish_reason")


def _is_cut(data: str) -> bool:
    return data.strip() != DONE and _value(data) is None
