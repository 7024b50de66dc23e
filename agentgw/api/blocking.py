"""The blocking client for programs, of the standard library only.

A call has a connection to itself, so a client may be shared between threads; a connection that is free again is kept
for the next call. Leaving a call early, by an error, a limit of time or the end of a loop, closes its connection, and
the daemon cancels what it did for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Self, TypeVar, Unpack

from agentgw.api import calls
from agentgw.api.calls import TIMEOUT_S, Call, IngestFields, PathLike, SearchFields, TurnFields
from agentgw.api.places import DaemonPlace
from agentgw.client import Client, Stream
from agentgw.protocol.calls.documents import IngestResult
from agentgw.protocol.calls.jobs import ScheduledJob
from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import UsageError
from agentgw.protocol.types import Chunk, Message, Session, Skill
from agentgw.transport.connection import Notification

T = TypeVar("T")

# More calls at once have connections too; these are kept.
MOST_IDLE: Final = 8


class AgentGWClient:
    """A client of the daemon: this user's, that of AGENTGW_URL, or that of `url`.

    `timeout_s` limits each call; None: no limit. A context manager that closes what is open.
    """

    def __init__(
        self, url: str | None = None, *, api_key: str | None = None, timeout_s: float | None = TIMEOUT_S
    ) -> None:
        self._place = DaemonPlace(url, api_key)
        self._timeout_s = timeout_s
        self._idle: deque[Client] = deque()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes free connections; calls under way close theirs at their end."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def chat(self, message: str, **fields: Unpack[TurnFields]) -> AnswerStream:
        """The answer as it comes: iterate over its pieces, then `result` holds. Raises AgentgwError."""
        made = calls.turn(message, local=self._place.is_local, **fields)
        client = self._connection()
        try:
            return AnswerStream(client, client.stream(made.method, **made.params), made, self._leave)
        except BaseException:
            client.close()
            raise

    def run(self, message: str, **fields: Unpack[TurnFields]) -> TurnResult:
        """The whole answer at its end. Raises AgentgwError."""
        return self._do(calls.turn(message, local=self._place.is_local, **fields))

    def list_skills(self) -> tuple[Skill, ...]:
        """All skills. Raises AgentgwError."""
        return self._do(calls.skills(local=self._place.is_local))

    def sessions(self, *, limit: int = 100) -> tuple[Session, ...]:
        """Stored sessions, the last used first. Raises AgentgwError."""
        return self._do(calls.sessions(limit))

    def messages(self, session_id: str, *, limit: int = 100) -> tuple[Message, ...]:
        """Messages of a session. Raises AgentgwError."""
        return self._do(calls.messages(session_id, limit))

    def jobs(self) -> tuple[ScheduledJob, ...]:
        """Scheduled jobs. Raises AgentgwError."""
        return self._do(calls.jobs())

    def search(self, query: str, **fields: Unpack[SearchFields]) -> tuple[Chunk, ...]:
        """Pieces of documents, best first. Raises AgentgwError."""
        return self._do(calls.search(query, **fields))

    def ingest(
        self, paths: PathLike | Iterable[PathLike] = (), *, text: str | None = None, source: str | None = None,
        **fields: Unpack[IngestFields],
    ) -> IngestResult:  # fmt: skip
        """Stores files and folders, or a text under the name `source`. Raises AgentgwError."""
        return self._do(calls.ingest(paths, text=text, source=source, local=self._place.is_local, **fields))

    def call(self, method: str, **params: Any) -> Any:
        """Any method of docs/protocol.md; its result as the wire has it. Raises AgentgwError."""
        return self._do(calls.raw(method, params))

    def _do(self, call: Call[T]) -> T:
        client = self._connection()
        stream: Stream | None = None
        try:
            stream = client.stream(call.method, **call.params)
            for _ in stream:
                continue
        finally:
            self._leave(client, stream)
        return call.read(stream.result)

    def _connection(self) -> Client:
        if self._closed:
            raise UsageError("the client is closed", hint="make another one")
        client = self._idle_one() or self._place.connect()
        client.limit(self._timeout_s)
        return client

    def _idle_one(self) -> Client | None:
        try:
            while True:
                client = self._idle.pop()
                # A daemon that has ended since would be noticed too late: by a call that may have begun.
                if not client.has_message(0):
                    return client
                client.close()
        except IndexError:
            return None

    def _leave(self, client: Client, stream: Stream | None) -> None:
        """Keeps a connection whose call has ended; closes one whose call goes on, which cancels it."""
        if self._closed or stream is None or not stream.ended or len(self._idle) >= MOST_IDLE:
            client.close()
        else:
            client.limit(None)
            self._idle.append(client)


class AnswerStream:
    """An answer on its way: an iterator over its pieces, once. Afterwards `result` holds.

    Leaving it early cancels the turn: by `close`, by the end of a `with` block, or when nothing refers to it any more,
    as after a `break`.
    """

    def __init__(
        self, client: Client, stream: Stream, call: Call[TurnResult], leave: Callable[[Client, Stream | None], None]
    ) -> None:
        self._client = client
        self._stream = stream
        self._notifications: Iterator[Notification] = iter(stream)
        self._call = call
        self._leave: Callable[[Client, Stream | None], None] | None = leave
        #: Ids of the turn and its session, from its first event on; else empty.
        self.turn_id = self.session_id = ""
        #: All that there is to know of the answer, once it has ended by itself.
        self.result: TurnResult | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._leave is None:
            raise StopIteration
        try:
            for notification in self._notifications:
                params = notification.params
                self.turn_id, self.session_id = params.get("turn_id", ""), params.get("session_id", "")
                if notification.method == "turn.delta" and params.get("channel") == "answer":
                    return str(params["text"])
        except BaseException:
            self.close()
            raise
        self.close()
        self.result = self._call.read(self._stream.result)
        raise StopIteration

    def close(self) -> None:
        """Ends the stream; a turn that goes on is cancelled."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave(self._client, self._stream)
