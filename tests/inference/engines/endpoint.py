"""An OpenAI-compatible endpoint on 127.0.0.1 that plays a script: one act a request, to the byte."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

# No endpoint may see it in a log, an error or an event.
KEY = "sk-very-secret-0123456789"


@dataclass
class Act:
    """Pieces to send, and then: close the connection, or hold it until the other side leaves."""

    pieces: Iterable[bytes]
    hold: bool = False
    # Sent over and over until the other side leaves.
    beat: bytes = b""


@dataclass
class Endpoint:
    """A running endpoint. `requests` are the parsed bodies, `headers` the header lines of each."""

    acts: list[Act]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: trio.Event = field(default_factory=trio.Event)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Play the next act."""
        async with stream:
            head, _, body = (await _receive_until(stream, b"\r\n\r\n")).partition(b"\r\n\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
            while len(body) < int(headers["content-length"]):
                body += await _more(stream)
            # The path travels with the headers, under a name that no header has.
            self.headers.append({**headers, ":path": head.split(b" ")[1].decode()})
            self.requests.append(json.loads(body))
            act = self.acts.pop(0)
            try:
                for piece in act.pieces:
                    await stream.send_all(piece)
                while act.beat:
                    await stream.send_all(act.beat)
                    await trio.sleep(0.01)
                if act.hold:
                    assert await stream.receive_some() == b""
            except trio.BrokenResourceError:
                pass
            if act.hold:
                self.left.set()


async def _receive_until(stream: trio.SocketStream, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        received += await _more(stream)
    return received


async def _more(stream: trio.SocketStream) -> bytes:
    more = await stream.receive_some()
    assert more, "the client left before its request was whole"
    return bytes(more)


@asynccontextmanager
async def playing(*acts: Act) -> AsyncIterator[Endpoint]:
    """An endpoint with this script."""
    endpoint = Endpoint(acts=list(acts))
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            lambda task_status: trio.serve_tcp(endpoint.serve, 0, host="127.0.0.1", task_status=task_status)
        )
        endpoint.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
        yield endpoint
        nursery.cancel_scope.cancel()


def stream_of(*chunks: dict[str, Any] | str, end: str = "\n", status: str = "200 OK", hold: bool = False) -> Act:
    """A streamed answer: each chunk an event, then [DONE]."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    events = [c if isinstance(c, str) else json.dumps(c, ensure_ascii=False) for c in chunks]
    return Act([head.encode(), *(f"data: {event}{end}{end}".encode() for event in events)], hold=hold)


def refusal(status: int, body: object, *header_lines: str) -> Act:
    """An answer with this status and a body of one piece: mostly an error."""
    payload = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(payload)}", "connection: close", *header_lines]
    return Act(["\r\n".join(lines).encode() + b"\r\n\r\n" + payload])


def called(name: str, arguments: object, **named: object) -> dict[str, Any]:
    """A chunk with a call; `named` is its index and id, as far as it has any."""
    return {"choices": [{"delta": {"tool_calls": [{**named, "function": {"name": name, "arguments": arguments}}]}}]}


def said(text: str, **delta: str) -> dict[str, Any]:
    """A chunk with a piece of the answer."""
    return {"choices": [{"index": 0, "delta": {"content": text, **delta}}]}


def ended(reason: str = "stop") -> dict[str, Any]:
    """The chunk that ends the answer."""
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
