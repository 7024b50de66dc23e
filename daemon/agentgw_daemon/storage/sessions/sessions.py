"""Stored conversations."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from agentgw.protocol.calls.sessions import MessageList, SessionList
from agentgw.protocol.errors import NotFound, SessionBusy
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Message, Role, SearchHit, Session
from agentgw_daemon.storage.columns import text_of
from agentgw_daemon.storage.deliveries.outbox import NOBODY, EventOutbox
from agentgw_daemon.storage.lookup import find_id
from agentgw_daemon.storage.rows import (
    LIVE,
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    from_cursor,
    message_of,
    session_of,
    to_cursor,
)
from agentgw_daemon.storage.sessions.calls import calls_of
from agentgw_daemon.storage.sessions.export import to_json, to_markdown
from agentgw_daemon.storage.sessions.fork import copy_session
from agentgw_daemon.storage.sessions.search import search_messages
from agentgw_daemon.storage.sessions.steps import drop_unused_tools
from agentgw_daemon.storage.sessions.titles import UNTITLED
from agentgw_daemon.system.ids import new_id, now

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils


class HistoryEntry(NamedTuple):
    """One message as a prompt needs it."""

    turn_id: str
    role: Role
    content: str


@record
class NewSession:
    """First values of a session."""

    skill: str
    title: str
    cwd: str | None = None
    # The turn that delegates to it, and the call by which it does.
    delegated_by: str | None = None
    delegated_call: str | None = None


def insert_session(db: sqlite_utils.Database, new: NewSession) -> str:
    """Write a new session and give its id."""
    session_id, at = new_id("s"), now()
    db.execute(
        "INSERT INTO sessions (id, title, skill, cwd, parent_id, delegated_by, delegated_call, created_at, updated_at)"
        " VALUES (?1, ?2, ?3, ?4, (SELECT session_id FROM turns WHERE id = ?5), ?5, ?6, ?7, ?7)",
        (session_id, new.title, new.skill, new.cwd, new.delegated_by, new.delegated_call, at),
    )
    return session_id


def read_session(db: sqlite_utils.Database, session_id: str) -> Session:
    """The session with exactly this id, which exists."""
    row = db.execute(f"SELECT {SESSION_COLUMNS} FROM sessions AS s WHERE s.id = ?", (session_id,)).fetchone()
    return session_of(row)


def refuse_busy(db: sqlite_utils.Database, session_id: str) -> None:
    """Raise SessionBusy when a turn of the session has not ended."""
    live = db.execute(
        f"SELECT id FROM turns WHERE session_id = ? AND state IN {LIVE} LIMIT 1", (session_id,)
    ).fetchone()
    if live is not None:
        raise SessionBusy(
            f"another turn of session {session_id} is running",
            hint=f"`agentgw attach {live[0]}` watches it, `agentgw turns cancel {live[0]}` ends it",
            session_id=session_id,
            turn_id=live[0],
        )


class Sessions:
    """The sessions in the database. A session is named by its id or by a beginning of it that no other has.

    Every method that takes one raises NotFound, or InvalidParams for an ambiguous beginning.
    """

    def __init__(self, runner: Runner, outbox: EventOutbox = NOBODY) -> None:
        self._runner = runner
        self._outbox = outbox

    def _made(self, db: sqlite_utils.Database, session_id: str) -> Session:
        self._outbox.session_created(db, session_id)
        return read_session(db, session_id)

    async def create(self, skill: str, cwd: str | None = None, title: str | None = None) -> Session:
        """Make an empty session."""
        new = NewSession(skill=skill, title=title or UNTITLED, cwd=cwd)
        return await self._runner.write(lambda db: self._made(db, insert_session(db, new)))

    async def get(self, session_id: str) -> Session:
        """One session."""
        return await self._runner.read(lambda db: read_session(db, find_id(db, "session", session_id)))

    async def list(self, limit: int = 50, before: str | None = None, cwd: str | None = None) -> SessionList:
        """A page of sessions, the last used first; `cwd`: only those that somebody started there."""

        def do(db: sqlite_utils.Database) -> SessionList:
            # Sorts above every time and every id.
            updated_at, below = from_cursor(before, str, str) if before else ("~", "~")
            found = db.execute(
                f"SELECT {SESSION_COLUMNS} FROM sessions AS s"
                " WHERE (s.updated_at, s.id) < (?, ?) AND (? IS NULL OR (s.cwd = ? AND s.delegated_by IS NULL))"
                " ORDER BY s.updated_at DESC, s.id DESC LIMIT ?",
                (updated_at, below, cwd, cwd, limit + 1),
            ).fetchall()
            sessions = tuple(session_of(row) for row in found[:limit])
            more = len(found) > limit
            return SessionList(
                sessions=sessions, next=to_cursor(sessions[-1].updated_at, sessions[-1].session_id) if more else None
            )

        return await self._runner.read(do)

    async def latest(self, cwd: str) -> Session | None:
        """The session last used in that directory by somebody, with a turn or its creation."""

        def do(db: sqlite_utils.Database) -> Session | None:
            row = db.execute(
                "SELECT id FROM ("
                " SELECT * FROM (SELECT session_id AS id, created_at AS at FROM turns WHERE cwd = ?1"
                "  AND session_id NOT IN (SELECT id FROM sessions WHERE delegated_by IS NOT NULL)"
                "  ORDER BY n DESC LIMIT 1)"
                " UNION ALL"
                " SELECT * FROM (SELECT id, created_at FROM sessions WHERE cwd = ?1"
                "  AND NOT EXISTS (SELECT 1 FROM turns WHERE session_id = sessions.id)"
                "  ORDER BY created_at DESC, id DESC LIMIT 1)"
                ") ORDER BY at DESC, id DESC LIMIT 1",
                (cwd,),
            ).fetchone()
            return None if row is None else read_session(db, row[0])

        return await self._runner.read(do)

    async def rename(self, session_id: str, title: str) -> Session:
        """Give the session a title."""

        def do(db: sqlite_utils.Database) -> Session:
            found = find_id(db, "session", session_id)
            db.execute("UPDATE sessions SET title = ? WHERE id = ?", (title, found))
            return read_session(db, found)

        return await self._runner.write(do)

    async def fork(self, session_id: str, at: str | None = None) -> Session:
        """Copy it under new ids, up to and with the turn `at`. Turns that have not ended are left out."""

        def do(db: sqlite_utils.Database) -> Session:
            found = find_id(db, "session", session_id)
            last = None if at is None else find_id(db, "turn", at)
            if last is not None:
                row = db.execute("SELECT 1 FROM turns WHERE id = ? AND session_id = ?", (last, found)).fetchone()
                if row is None:
                    raise NotFound(f"no turn {last} in session {found}", kind="turn", id=last)
            return self._made(db, copy_session(db, found, last))

        return await self._runner.write(do)

    async def delete(self, session_id: str) -> tuple[str, ...]:
        """Remove it with its turns, messages and log, and with the sessions that its turns delegated to.

        Gives the ids of all of them, its own first. Raises SessionBusy while a turn of one runs.
        """

        def do(db: sqlite_utils.Database) -> tuple[str, ...]:
            found = find_id(db, "session", session_id)
            rows = db.execute(
                "WITH RECURSIVE gone (id) AS (SELECT ? UNION SELECT s.id FROM gone JOIN turns AS t"
                " ON t.session_id = gone.id JOIN sessions AS s ON s.delegated_by = t.id) SELECT id FROM gone",
                (found,),
            )
            ids = tuple(str(row[0]) for row in rows)
            for one in ids:
                refuse_busy(db, one)
            db.execute("DELETE FROM sessions WHERE id = ?", (found,))
            drop_unused_tools(db)
            return ids

        return await self._runner.write(do)

    async def messages(self, session_id: str, limit: int = 200, before: str | None = None) -> MessageList:
        """A page of messages, oldest first: the latest ones before `before`."""

        def do(db: sqlite_utils.Database) -> MessageList:
            found = find_id(db, "session", session_id)
            (below,) = from_cursor(before, int) if before else (2**63 - 1,)
            rows = db.execute(
                f"SELECT {MESSAGE_COLUMNS}, m.n FROM messages AS m WHERE m.session_id = ? AND m.n < ?"
                " ORDER BY m.n DESC LIMIT ?",
                (found, below, limit + 1),
            ).fetchall()
            page = rows[:limit][::-1]
            return MessageList(
                messages=tuple(message_of(row, partial(calls_of, db)) for row in page),
                next=to_cursor(page[0][-1]) if len(rows) > limit else None,
            )

        return await self._runner.read(do)

    async def whole_history(self, session_id: str) -> tuple[HistoryEntry, ...]:
        """The messages of its turns that have ended, but for the failed ones; for prompting."""
        return await self._runner.read(lambda db: _history(db, find_id(db, "session", session_id), 2**63 - 1))

    async def history_before(self, turn_id: str) -> tuple[HistoryEntry, ...]:
        """The history as `whole_history` gives it, as it was when this turn began; takes a whole id."""

        def do(db: sqlite_utils.Database) -> tuple[HistoryEntry, ...]:
            session_id, n = db.execute("SELECT session_id, n FROM turns WHERE id = ?", (turn_id,)).fetchone()
            return _history(db, session_id, n)

        return await self._runner.read(do)

    async def export(self, session_id: str, format: Literal["md", "json"] = "md") -> str:  # noqa: A002  # the wire's word
        """The whole session as text."""

        def do(db: sqlite_utils.Database) -> tuple[Session, tuple[Message, ...]]:
            session = read_session(db, find_id(db, "session", session_id))
            rows = db.execute(
                f"SELECT {MESSAGE_COLUMNS} FROM messages AS m WHERE m.session_id = ? ORDER BY m.n",
                (session.session_id,),
            )
            return session, tuple(message_of(row, partial(calls_of, db)) for row in rows.fetchall())

        session, messages = await self._runner.read(do)
        return to_markdown(session, messages) if format == "md" else to_json(session, messages)

    async def search(self, query: str, limit: int = 20) -> tuple[SearchHit, ...]:
        """Messages of all sessions in which all words of the query occur, best first."""
        return await self._runner.read(lambda db: search_messages(db, query, limit))


def _history(db: sqlite_utils.Database, session_id: str, below: int) -> tuple[HistoryEntry, ...]:
    # A turn that failed is left out, whether it had begun to answer or not: what made it fail may do so again. Of those
    # that were cut off only an answer remains that had begun; a question alone would be followed by another one.
    rows = db.execute(
        "SELECT m.turn_id, m.role, m.content FROM messages AS m JOIN turns AS t ON t.id = m.turn_id"
        " WHERE m.session_id = ? AND t.n < ? AND m.role IN ('user', 'assistant')"
        " AND (t.state = 'completed' OR t.state IN ('cancelled', 'interrupted')"
        "  AND EXISTS (SELECT 1 FROM messages AS a WHERE a.turn_id = t.id AND a.role = 'assistant'))"
        " ORDER BY m.n",
        (session_id, below),
    )
    return tuple(HistoryEntry(turn_id, role, text_of(content)) for turn_id, role, content in rows)
