"""Turns that an earlier daemon left in the middle of their tool calls, and all that it takes to go on with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final

from agentgw.protocol.calls.turns import TurnDetail, TurnStartParams
from agentgw.protocol.records.schema import bind, record
from agentgw.protocol.types import Usage
from agentgw_daemon.storage.columns import number_of, real_of
from agentgw_daemon.storage.deliveries.outbox import NOBODY, EventOutbox
from agentgw_daemon.storage.json_text import from_text, read_or
from agentgw_daemon.storage.rows import LIVE, TURN_COLUMNS, turn_of
from agentgw_daemon.storage.sessions.log import LogRow, answer_so_far, read_rows
from agentgw_daemon.storage.sessions.resumption import rest
from agentgw_daemon.storage.sessions.turns import read_detail
from agentgw_daemon.system.ids import new_id, now
from agentgw_daemon.tool_calling.choosing.agents import DELEGATE

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# A turn without an end whose model has made calls, none of which was cut off while it was carried out (whether it had
# its effect is not known, so it must not be made again), and which has said nothing since: all that is left to do is
# stored. What becomes of a call that waits for another agent is told by that one's turn (`unfinished_ids`). Nobody
# goes on with a turn that a daemon was going on with when it ended: that may have been the reason.
_LEFT: Final = (
    f"t.state IN {LIVE} AND t.resumption <> 1 AND EXISTS (SELECT 1 FROM turn_steps AS s WHERE s.turn_id = t.id)"
    " AND NOT EXISTS (SELECT 1 FROM tool_calls AS c WHERE c.turn_id = t.id AND c.ended_at IS NULL"
    f"  AND c.tool IS NOT '{DELEGATE}')"
    " AND NOT EXISTS (SELECT 1 FROM turn_log AS l WHERE l.turn_id = t.id AND l.method = 'turn.delta'"
    "  AND l.seq + l.count - 1 > (SELECT max(s.upto_seq) FROM turn_steps AS s WHERE s.turn_id = t.id))"
)
# States of turns that nobody goes on with, before they are marked so and after.
_CUT_OFF: Final = f"t.state = 'interrupted' OR t.state IN {LIVE}"
# A session's first turn is the one that was delegated; the user may have gone on with it since.
_FIRST_TURN: Final = "t.n = (SELECT min(n) FROM turns WHERE session_id = o.id)"


@record
class LeftTurn:
    """A turn as it was left. `request` lacks the texts of message and files; the log goes to `upto_seq` at least."""

    detail: TurnDetail
    request: TurnStartParams
    log: tuple[LogRow, ...]
    upto_seq: int
    # The turn that waits for it, and the call by which that one does.
    caller: tuple[str, str] | None = None
    # Turns by the calls that they answer, of those calls that have not ended; and what those took that have.
    answers: Mapping[str, str] = field(default_factory=dict)
    delegated: Usage = Usage()


class Unfinished:
    """The turns to go on with. Methods take whole ids."""

    def __init__(self, runner: Runner, outbox: EventOutbox = NOBODY) -> None:
        self._runner = runner
        self._outbox = outbox

    async def ids(self) -> tuple[str, ...]:
        """The ids, the oldest first. Ask before any turn is started: those that run look alike."""
        return await self._runner.read(unfinished_ids)

    async def read(self, turn_id: str) -> LeftTurn:
        """One of them. Raises one of `json_text.BAD` when what is stored cannot be understood."""

        def do(db: sqlite_utils.Database) -> LeftTurn:
            request, upto_seq = db.execute(
                "SELECT request, (SELECT max(upto_seq) FROM turn_steps WHERE turn_id = ?1) FROM turns WHERE id = ?1",
                (turn_id,),
            ).fetchone()
            return LeftTurn(
                detail=read_detail(db, turn_id, strict=True), request=bind(TurnStartParams, from_text(request or "{}")),
                log=read_rows(db, turn_id), upto_seq=upto_seq, caller=_caller(db, turn_id),
                answers=_answers(db, turn_id), delegated=_delegated(db, turn_id),
            )  # fmt: skip

        return await self._runner.read(do)

    async def begin(self, turn_ids: Iterable[str]) -> None:
        """Note that these turns are gone on with, before they are; they are not tried again."""
        kept = [(turn_id,) for turn_id in turn_ids]

        def do(db: sqlite_utils.Database) -> None:
            db.conn.executemany("UPDATE turns SET resumption = 1 WHERE id = ?", kept)

        await self._runner.write(do)

    async def leave(self, turn_id: str) -> None:
        """Leaves a turn as it is for the next daemon."""
        await self._runner.write(lambda db: rest(db, turn_id))

    async def give_up(self, turn_id: str, reason: str | None = None) -> None:
        """Marks a turn that cannot be gone on with: it was interrupted."""

        def do(db: sqlite_utils.Database) -> None:
            interrupt(db, turn_id, reason, self._outbox)
            db.execute("UPDATE turns SET resumption = 0 WHERE id = ?", (turn_id,))

        await self._runner.write(do)

    async def fatal(self, since: str) -> tuple[tuple[str, str], ...]:
        """Turns that a daemon was going on with when it ended, with their sessions; the latest first.

        `since`: a time as the database writes it; those that were found before are left out.
        """
        sql = "SELECT id, session_id FROM turns WHERE state = 'interrupted' AND resumption = 1 AND finished_at >= ?"
        return await self._runner.read(
            lambda db: tuple((str(row[0]), str(row[1])) for row in db.execute(f"{sql} ORDER BY n DESC", (since,)))
        )


def unfinished_ids(db: sqlite_utils.Database) -> tuple[str, ...]:
    """See `Unfinished.ids`. Who waits for another agent goes on only with that one, and the other way round."""
    left = [str(row[0]) for row in db.execute(f"SELECT t.id FROM turns AS t WHERE {_LEFT} ORDER BY t.n")]
    callers = {turn_id: _caller(db, turn_id) for turn_id in left}
    answers = {turn_id: _answers(db, turn_id).values() for turn_id in left}
    gone = {row[0] for row in db.execute(f"SELECT t.id FROM turns AS t WHERE {_CUT_OFF}")} - set(left)
    while True:
        lost = {
            turn_id
            for turn_id in left
            if gone.intersection(answers[turn_id])
            or ((caller := callers[turn_id]) is not None and turn_id not in answers.get(caller[0], ()))
        }
        if not lost:
            return tuple(left)
        gone |= lost
        left = [turn_id for turn_id in left if turn_id not in lost]
        answers = {turn_id: answers[turn_id] for turn_id in left}


def _caller(db: sqlite_utils.Database, turn_id: str) -> tuple[str, str] | None:
    row = db.execute(
        "SELECT o.delegated_by, coalesce(o.delegated_call, '') FROM turns AS t"
        " JOIN sessions AS o ON o.id = t.session_id"
        f" WHERE t.id = ? AND o.delegated_by IS NOT NULL AND {_FIRST_TURN}",
        (turn_id,),
    ).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def _answers(db: sqlite_utils.Database, turn_id: str) -> dict[str, str]:
    found = db.execute(
        "SELECT c.call_id, t.id FROM tool_calls AS c JOIN sessions AS o"
        " ON o.delegated_by = c.turn_id AND o.delegated_call = c.call_id JOIN turns AS t ON t.session_id = o.id"
        f" WHERE c.turn_id = ? AND c.ended_at IS NULL AND {_FIRST_TURN}",
        (turn_id,),
    )
    return {str(call_id): str(child) for call_id, child in found}


def _delegated(db: sqlite_utils.Database, turn_id: str) -> Usage:
    prompt, cached, completion = db.execute(
        # Not sum: one bad row would have it overflow.
        "SELECT total(t.prompt_tokens), total(t.cached_tokens), total(t.completion_tokens)"
        " FROM tool_calls AS c JOIN sessions AS o"
        " ON o.delegated_by = c.turn_id AND o.delegated_call = c.call_id JOIN turns AS t ON t.session_id = o.id"
        f" WHERE c.turn_id = ? AND c.ended_at IS NOT NULL AND {_FIRST_TURN}",
        (turn_id,),
    ).fetchone()
    prompt, cached, completion = (number_of(int(real_of(tokens))) for tokens in (prompt, cached, completion))
    return Usage(prompt_tokens=prompt, cached_tokens=cached, completion_tokens=completion)


def interrupt(db: sqlite_utils.Database, turn_id: str, reason: str | None, outbox: EventOutbox) -> None:
    """Mark a turn that has not ended as interrupted and keep its answer as far as the log has it.

    The log stays as it is: it records what was sent, and no end was sent.
    """
    rows = read_rows(db, turn_id)
    at = now()
    text = answer_so_far(rows)
    if text:
        db.execute(
            "INSERT INTO messages (id, session_id, turn_id, role, content, created_at, interrupted)"
            " SELECT ?, session_id, id, 'assistant', ?, ?, 1 FROM turns WHERE id = ?",
            (new_id("m"), text, at, turn_id),
        )
    db.execute(
        "UPDATE turns SET state = 'interrupted', finished_at = ?, last_seq = ?, error = ? WHERE id = ?",
        (at, read_or(0, lambda: rows[-1].last_seq), reason, turn_id),
    )
    row = db.execute(f"SELECT {TURN_COLUMNS} FROM turns AS t WHERE t.id = ?", (turn_id,)).fetchone()
    outbox.turn_ended(db, turn_of(row))
