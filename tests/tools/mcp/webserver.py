"""An MCP server over streamable HTTP that misbehaves on command, with what it was asked for kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio

from tests.tools.mcp.server import SCHEMA

# As Node writes an emoji that it has cut, and a byte of Latin-1.
HALF = b'{"jsonrpc": "2.0", "id": %d, "result": {"content": [{"type": "text", "text": "\\ud83d caf\xe9"}]}}'


class WebServer:
    """`requests` are the methods (of HTTP and of MCP) that came in; `paths` the paths."""

    def __init__(self) -> None:
        self.url = ""
        self.redirect_to = ""
        self.refuses = ""
        self.requests: list[str] = []
        self.paths: list[str] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):
                await self._answer(stream)

    async def _answer(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = await stream.receive_some(65536)
            if not piece:
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        while len(body) < int(fields.get("content-length", "0")):
            if not (more := await stream.receive_some(65536)):
                return
            body += more
        verb, path, _ = lines[0].split(" ")
        self.paths.append(path)
        if verb != "POST":
            self.requests.append(verb)
            await self._reply(stream, "405 Not Allowed", b"")
            return
        message = json.loads(body)
        self.requests.append(message["method"])
        if self.redirect_to:
            await self._reply(stream, "307 Temporary Redirect", b"", location=self.redirect_to)
        elif self.refuses:
            await self._reply(stream, self.refuses, b"")
        elif "id" not in message:
            await self._reply(stream, "202 Accepted", b"")
        else:
            await self._result(stream, message)

    async def _result(self, stream: trio.SocketStream, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        how = params.get("arguments", {}).get("how", "")
        result: dict[str, Any] = {"content": [{"type": "text", "text": f"done: {how}"}]}
        match message["method"]:
            case "initialize":
                info = {"name": "web", "version": "1"}
                result = {
                    "protocolVersion": params["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": info,
                }
            case "tools/list":
                result = {"tools": [{"name": "misbehave", "inputSchema": SCHEMA}]}
            case "ping":
                result = {}
        reply = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        match how:
            case "hang":
                await trio.sleep_forever()
            case "die":
                return
            case "garbage":
                await self._reply(stream, "200 OK", b"<html>", content_type="application/json")
            case "page":
                await self._reply(stream, "200 OK", b"<html>", content_type="text/html")
            case "forget":
                await self._reply(stream, "404 Not Found", b"")
            case "error":
                await self._reply(stream, "500 Broken", b"oh")
            case "half a pair":
                await self._reply(stream, "200 OK", HALF % message["id"], content_type="application/json")
            case "half a pair in an event":
                event = b"data: " + HALF % message["id"] + b"\r\rdata: {}"
                await self._reply(stream, "200 OK", event, content_type="Text/Event-Stream; charset=latin-1")
            case "other id":
                other = reply.replace(b'"id": ', b'"id": 1000')
                await self._reply(stream, "200 OK", other, content_type="application/json")
            case "nan":
                await self._reply(stream, "200 OK", b'{"id": 1, "result": {"n": NaN}}', content_type="application/json")
            case "cut off":
                await self._reply(stream, "200 OK", reply[:-20], content_type="application/json")
            case "broken off":
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n"
                await stream.send_all(head + reply)
            case "compressed":
                body = gzip.compress(reply)
                await self._reply(stream, "200 OK", body, content_type="application/json", content_encoding="gzip")
            case "login":
                await self._reply(stream, "401 Unauthorized", b"", www_authenticate='Bearer realm="x"')
            case "no method":
                await self._reply(stream, "405 Not Allowed", b"")
            case "problem":
                await self._reply(stream, "503 Busy", b'{"detail": "come back"}', content_type="application/json")
            case "refusal":
                refusal = {"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": "not so"}}
                body = json.dumps(refusal).encode()
                await self._reply(stream, "400 Bad Request", body, content_type="application/json")
            case "accepted":
                await self._reply(stream, "202 Accepted", b"")
            case "events":
                events = (
                    b'event: message\ndata: {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}\n\n'
                )
                events += b"event: message\ndata: " + reply + b"\n\n"
                await self._reply(stream, "200 OK", events, content_type="text/event-stream")
            case "large":
                await self._flood(stream, "application/json", b" " * 65536)
            case "large event":
                await self._flood(stream, "text/event-stream", b"data: " + b"x" * 65536 + b"\n")
            case "flood":
                note = b'data: {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}}\n\n'
                await self._flood(stream, "text/event-stream", note * 500)
            case _:
                # A session, as most servers keep one.
                await self._reply(stream, "200 OK", reply, content_type="application/json", mcp_session_id="one")

    async def _flood(self, stream: trio.SocketStream, content_type: str, piece: bytes) -> None:
        await stream.send_all(f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n\r\n".encode())
        while True:
            await stream.send_all(piece)

    async def _reply(self, stream: trio.SocketStream, status: str, body: bytes, **fields: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        await stream.send_all("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@asynccontextmanager
async def web_server() -> AsyncIterator[WebServer]:
    """One that listens on the loopback until the end."""
    made = WebServer()
    async with trio.open_nursery() as nursery:
        (listener, *_) = await nursery.start(_listen, made)
        made.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/mcp"
        yield made
        nursery.cancel_scope.cancel()


async def _listen(server: WebServer, *, task_status: trio.TaskStatus[Any]) -> None:
    await trio.serve_tcp(server.serve, 0, host="127.0.0.1", task_status=task_status)
