"""Ratings of turns: one a turn, gone with its session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.calls.feedback import FeedbackList
from agentgw.protocol.errors import NotFound
from agentgw.protocol.types import Feedback, FeedbackCount, Rating
from agentgw_daemon.storage.columns import optional, text_of
from agentgw_daemon.storage.deliveries.outbox import NOBODY, EventOutbox
from agentgw_daemon.storage.lookup import find_id
from agentgw_daemon.storage.rows import LIVE, from_cursor, to_cursor
from agentgw_daemon.system.ids import now

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Enough to know the question again; a line of a terminal holds less.
_MESSAGE_CHARACTERS: Final = 200
_COLUMNS: Final = (
    "f.turn_id, t.session_id, f.rating, f.created_at, t.skill, t.model, coalesce((SELECT substr(m.content, 1,"
    f" {_MESSAGE_CHARACTERS}) FROM messages AS m WHERE m.turn_id = t.id AND m.role = 'user' ORDER BY m.n LIMIT 1), ''),"
    " f.comment"
)


class Ratings:
    """The ratings in the database."""

    def __init__(self, runner: Runner, outbox: EventOutbox = NOBODY) -> None:
        self._runner = runner
        self._outbox = outbox

    async def add(
        self, rating: Rating, *, turn_id: str | None = None, cwd: str | None = None, comment: str | None = None
    ) -> Feedback:
        """Rate a turn; a second rating replaces the first, comment and all.

        `turn_id`: a turn, or a session for its last one, each by a unique beginning; without it the last turn of the
        sessions started in `cwd`, or of all. Only a turn that has ended is taken for the last. Raises NotFound.
        """

        def do(db: sqlite_utils.Database) -> Feedback:
            found = _chosen(db, turn_id, cwd)
            db.execute(
                "INSERT OR REPLACE INTO feedback (turn_id, rating, comment, created_at) VALUES (?, ?, ?, ?)",
                (found, rating, comment, now()),
            )
            row = db.execute(
                f"SELECT {_COLUMNS} FROM feedback AS f JOIN turns AS t ON t.id = f.turn_id WHERE f.turn_id = ?",
                (found,),
            ).fetchone()
            given = _feedback_of(row)
            self._outbox.feedback_received(db, given)
            return given

        return await self._runner.write(do)

    async def list(
        self,
        limit: int = 50,
        before: str | None = None,
        skill: str | None = None,
        model: str | None = None,
        rating: Rating | None = None,
    ) -> FeedbackList:
        """A page of ratings, the latest first; of one skill, one model, one kind."""

        def do(db: sqlite_utils.Database) -> FeedbackList:
            # Sorts above every time and every id.
            created_at, below = from_cursor(before, str, str) if before else ("~", "~")
            where, values = ["(f.created_at, f.turn_id) < (?, ?)"], [created_at, below]
            for column, wanted in (("t.skill", skill), ("t.model", model), ("f.rating", rating)):
                if wanted is not None:
                    where.append(f"{column} = ?")
                    values.append(wanted)
            found = db.execute(
                f"SELECT {_COLUMNS} FROM feedback AS f JOIN turns AS t ON t.id = f.turn_id"
                f" WHERE {' AND '.join(where)} ORDER BY f.created_at DESC, f.turn_id DESC LIMIT ?",
                (*values, limit + 1),
            ).fetchall()
            page = tuple(_feedback_of(row) for row in found[:limit])
            more = len(found) > limit
            return FeedbackList(ratings=page, next=to_cursor(page[-1].created_at, page[-1].turn_id) if more else None)

        return await self._runner.read(do)


def rating_of(db: sqlite_utils.Database, turn_id: str) -> Rating | None:
    """The rating of a turn, if it has one."""
    row = db.execute("SELECT rating FROM feedback WHERE turn_id = ?", (turn_id,)).fetchone()
    return None if row is None else _rating_of(row[0])


def count_ratings(db: sqlite_utils.Database) -> tuple[FeedbackCount, ...]:
    """The number of good and bad ratings of each skill with each model, those with the most first."""
    found = db.execute(
        "SELECT t.skill, t.model, sum(f.rating = 1), sum(f.rating = -1) FROM feedback AS f"
        " JOIN turns AS t ON t.id = f.turn_id GROUP BY t.skill, t.model ORDER BY count(*) DESC, t.skill, t.model"
    )
    return tuple(
        FeedbackCount(skill=text_of(row[0]), model=text_of(row[1]), good=row[2], bad=row[3]) for row in found
    )  # fmt: skip


def _chosen(db: sqlite_utils.Database, given: str | None, cwd: str | None) -> str:
    if given is not None and not given.startswith("s-"):
        return find_id(db, "turn", given)
    session_id = None if given is None else find_id(db, "session", given)
    # A delegated turn is a part of its answer, and nobody has seen it by itself.
    delegated = "SELECT id FROM sessions WHERE delegated_by IS NOT NULL"
    where, value = f"?1 IS NULL AND t.session_id NOT IN ({delegated})", None
    message = "nothing has been answered yet"
    if session_id is not None:
        where, value, message = (
            "t.session_id = ?1",
            session_id,
            f"nothing of session {session_id} has been answered yet",
        )
    elif cwd is not None:
        where, value = "t.session_id IN (SELECT id FROM sessions WHERE cwd = ?1 AND delegated_by IS NULL)", cwd
        message = f"no session that was started in {cwd} has an answer"
    row = db.execute(
        f"SELECT t.id FROM turns AS t WHERE {where} AND t.state NOT IN {LIVE} ORDER BY t.n DESC LIMIT 1", (value,)
    ).fetchone()
    if row is None:
        hint = "`agentgw sessions` lists all; name one to rate its last answer"
        raise NotFound(message, hint=hint, kind="turn", id=session_id or "")
    return str(row[0])


def _rating_of(value: object) -> Rating:
    return -1 if value == -1 else 1


def _feedback_of(row: Sequence[Any]) -> Feedback:
    return Feedback(
        turn_id=text_of(row[0]),
        session_id=text_of(row[1]),
        rating=_rating_of(row[2]),
        created_at=text_of(row[3]),
        skill=text_of(row[4]),
        model=text_of(row[5]),
        message=text_of(row[6]),
        comment=optional(text_of, row[7]),
    )
