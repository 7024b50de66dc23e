"""The operations of storage without trio, for tests that look at files, kill processes or count bytes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from agentgw_daemon.storage.documents.changes import DocumentChanges
from agentgw_daemon.storage.documents.chunks import Chunks
from agentgw_daemon.storage.documents.documents import Documents
from agentgw_daemon.storage.documents.embeddings import Embeddings
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.feedback import Ratings
from agentgw_daemon.storage.sessions.log import TurnLogStore
from agentgw_daemon.storage.sessions.sessions import Sessions
from agentgw_daemon.storage.sessions.summaries import Summaries
from agentgw_daemon.storage.sessions.turns import NewTurn, StartedTurn, TurnEnd, TurnStore
from agentgw_daemon.storage.sqlite.library import sqlite_utils

T = TypeVar("T")


class Direct:
    """A runner that runs in place, and the operations on it."""

    def __init__(self, store: DatabaseFiles) -> None:
        self.store = store
        self.sessions = Sessions(self)
        self.turns = TurnStore(self)
        self.log = TurnLogStore(self)
        self.feedback = Ratings(self)
        self.summaries = Summaries(self)
        self.documents = Documents(self, DocumentChanges())
        self.chunks = Chunks(self)
        self.embeddings = Embeddings(self, DocumentChanges())

    async def read(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        return self.store.read(do)

    async def write(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        return self.store.write(do)


class InTransaction:
    """A runner for many operations in one transaction, of documents alone."""

    def __init__(self, db: sqlite_utils.Database) -> None:
        self._db = db
        self.documents = Documents(self, DocumentChanges())

    async def read(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        return do(self._db)

    async def write(self, do: Callable[[sqlite_utils.Database], T]) -> T:
        return do(self._db)


def run(operation: Coroutine[Any, Any, T]) -> T:
    """The result of an operation on a Direct runner: it never waits, so one step ends it."""
    try:
        operation.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("the operation waited")


def talk(direct: Direct, message: str, answer: str, **fields: Any) -> StartedTurn:
    """One completed turn."""
    started = run(direct.turns.start(NewTurn(message=message, skill="general-assistant", model="echo", **fields)))
    run(direct.turns.finish(started.turn.turn_id, TurnEnd(state="completed", finish_reason="stop", text=answer)))
    return started
