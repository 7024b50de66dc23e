"""The client for programs of asyncio and of trio.

As the blocking one: a call has a connection to itself, so any number of tasks may call at once, and leaving a call
early, also by being cancelled, closes its connection, and the daemon cancels what it did for it. Connecting, which may
start the daemon or ssh, happens in a thread; all that is said afterwards on the event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Self, TypeVar, Unpack

from agentgw.api import calls
from agentgw.api.blocking import MOST_IDLE
from agentgw.api.calls import TIMEOUT_S, Call, IngestFields, PathLike, SearchFields, TurnFields
from agentgw.api.loops import AsyncioLoop, Loop
from agentgw.api.places import DaemonPlace
from agentgw.api.trio_loop import TrioLoop
from agentgw.client import Client, ConnectionLost
from agentgw.protocol.calls.documents import IngestResult
from agentgw.protocol.calls.jobs import ScheduledJob
from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import UsageError, from_wire
from agentgw.protocol.types import Chunk, Message, Session, Skill
from agentgw.transport.connection import Connection, Notification, Response

T = TypeVar("T")

_READ_BYTES: Final = 64 << 10


class AsyncAgentGWClient:
    """A client of the daemon: this user's, that of AGENTGW_URL, or that of `url`.

    `timeout_s` limits each call; None: no limit. An asynchronous context manager that closes what is open.
    """

    def __init__(
        self, url: str | None = None, *, api_key: str | None = None, timeout_s: float | None = TIMEOUT_S
    ) -> None:
        self._place = DaemonPlace(url, api_key)
        self._timeout_s = timeout_s
        self._idle: deque[AsyncConnection] = deque()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes free connections; calls under way close theirs at their end."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def chat(self, message: str, **fields: Unpack[TurnFields]) -> AsyncAnswerStream:
        """The answer as it comes: iterate over its pieces, then `result` holds."""
        made = calls.turn(message, local=self._place.is_local, **fields)
        return AsyncAnswerStream(made, self._connection, self._leave, self._timeout_s)

    async def run(self, message: str, **fields: Unpack[TurnFields]) -> TurnResult:
        """The whole answer at its end. Raises AgentgwError."""
        return await self._do(calls.turn(message, local=self._place.is_local, **fields))

    async def list_skills(self) -> tuple[Skill, ...]:
        """All skills. Raises AgentgwError."""
        return await self._do(calls.skills(local=self._place.is_local))

    async def sessions(self, *, limit: int = 100) -> tuple[Session, ...]:
        """Stored sessions, the last used first. Raises AgentgwError."""
        return await self._do(calls.sessions(limit))

    async def messages(self, session_id: str, *, limit: int = 100) -> tuple[Message, ...]:
        """Messages of a session. Raises AgentgwError."""
        return await self._do(calls.messages(session_id, limit))

    async def jobs(self) -> tuple[ScheduledJob, ...]:
        """Scheduled jobs. Raises AgentgwError."""
        return await self._do(calls.jobs())

    async def search(self, query: str, **fields: Unpack[SearchFields]) -> tuple[Chunk, ...]:
        """Pieces of documents, best first. Raises AgentgwError."""
        return await self._do(calls.search(query, **fields))

    async def ingest(
        self, paths: PathLike | Iterable[PathLike] = (), *, text: str | None = None, source: str | None = None,
        **fields: Unpack[IngestFields],
    ) -> IngestResult:  # fmt: skip
        """Stores files and folders, or a text under the name `source`. Raises AgentgwError."""
        return await self._do(calls.ingest(paths, text=text, source=source, local=self._place.is_local, **fields))

    async def call(self, method: str, **params: Any) -> Any:
        """Any method of docs/protocol.md; its result as the wire has it. Raises AgentgwError."""
        return await self._do(calls.raw(method, params))

    async def _do(self, call: Call[T]) -> T:
        async with _running_loop().limited(self._timeout_s):
            connection = await self._connection()
            try:
                await connection.begin(call.method, call.params)
                while await connection.next() is not None:
                    continue
            finally:
                self._leave(connection)
        return call.read(connection.result)

    async def _connection(self) -> AsyncConnection:
        if self._closed:
            raise UsageError("the client is closed", hint="make another one")
        while self._idle:
            connection = self._idle.pop()
            if connection.is_quiet():
                return connection
            connection.close()
        client = await _running_loop().in_thread(self._place.connect, Client.close)
        return AsyncConnection(client)

    def _leave(self, connection: AsyncConnection) -> None:
        """Keeps a connection whose call has ended; closes one whose call goes on, which cancels it."""
        if self._closed or not connection.ended or len(self._idle) >= MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)


class AsyncConnection:
    """A greeted connection, for one call at a time; not bound to an event loop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stream = client.detached()
        self._stream.settimeout(0)
        self._wire = Connection()
        self._incoming: deque[Response | Notification] = deque()
        self._number = 0
        #: The reply to the last call is here, as `result` or raised.
        self.ended = True
        self.result: Any = None

    async def begin(self, method: str, params: Mapping[str, Any]) -> None:
        """Makes a call, whose messages `next` then gives. Raises AgentgwError."""
        given = {name: value for name, value in params.items() if value is not None}
        self._number, frame = self._wire.request(method, given)
        self.ended = False
        await self._send(_running_loop(), frame)

    async def next(self) -> Notification | None:
        """The next notification, or None for the reply, which `result` then is. Raises AgentgwError."""
        loop = _running_loop()
        while True:
            while not self._incoming:
                self._incoming.extend(self._wire.receive(await self._receive(loop)))
            message = self._incoming.popleft()
            if isinstance(message, Notification):
                return message
            if message.id == self._number or (message.id is None and message.error is not None):
                self.ended = True
                if message.error is not None:
                    raise from_wire(message.error)
                self.result = message.result
                return None

    def is_quiet(self) -> bool:
        """Tells whether the connection is as it was left: one that can be read has ended."""
        try:
            self._stream.recv(1)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Ends the connection. In a thread, as ssh may take a moment to end."""
        threading.Thread(target=self._client.close, daemon=True).start()

    async def _send(self, loop: Loop, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._stream.send(bytes(view)) :]
            except BlockingIOError:
                await loop.wait_writable(self._stream.fileno())
            except OSError:
                # The last message of the daemon, such as why it closes, is worth more than the failed write.
                return

    async def _receive(self, loop: Loop) -> bytes:
        while True:
            try:
                data = self._stream.recv(_READ_BYTES)
            except BlockingIOError:
                await loop.wait_readable(self._stream.fileno())
                continue
            except OSError:
                data = b""
            if not data:
                raise ConnectionLost("the daemon ended before it answered", hint="see agentgw logs")
            return data


class AsyncAnswerStream:
    """An answer on its way: an asynchronous iterator over its pieces, once. Afterwards `result` holds.

    Leaving it early cancels the turn: by `close`, by the end of an `async with` block, by the cancellation of the task,
    or when nothing refers to it any more, as after a `break`.
    """

    def __init__(
        self,
        call: Call[TurnResult],
        connect: Callable[[], Awaitable[AsyncConnection]],
        leave: Callable[[AsyncConnection], None],
        timeout_s: float | None,
    ) -> None:
        self._call = call
        self._connect = connect
        self._leave = leave
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s if timeout_s is not None else None
        self._connection: AsyncConnection | None = None
        self._over = False
        #: Ids of the turn and its session, from its first event on; else empty.
        self.turn_id = self.session_id = ""
        #: All that there is to know of the answer, once it has ended by itself.
        self.result: TurnResult | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._over:
            raise StopAsyncIteration
        left_s = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        try:
            async with _running_loop().limited(left_s, self._timeout_s):
                piece = await self._next()
        except BaseException:
            self.close()
            raise
        if piece is None:
            assert self._connection is not None
            self.result = self._call.read(self._connection.result)
            self.close()
            raise StopAsyncIteration
        return piece

    async def _next(self) -> str | None:
        if self._connection is None:
            self._connection = await self._connect()
            await self._connection.begin(self._call.method, self._call.params)
        while (notification := await self._connection.next()) is not None:
            params = notification.params
            self.turn_id, self.session_id = params.get("turn_id", ""), params.get("session_id", "")
            if notification.method == "turn.delta" and params.get("channel") == "answer":
                return str(params["text"])
        return None

    def close(self) -> None:
        """Ends the stream; a turn that goes on is cancelled."""
        connection, self._connection = self._connection, None
        self._over = True
        if connection is not None:
            self._leave(connection)


def _running_loop() -> Loop:
    """The loop that this code runs in."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return TrioLoop()
    return AsyncioLoop()
