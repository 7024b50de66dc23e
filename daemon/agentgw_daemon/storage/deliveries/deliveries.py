"""Deliveries to webhooks, in order, and the log of those that were sent."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from agentgw.protocol.calls.webhooks import Delivery, DeliveryState
from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.columns import number_of, optional, text_of, word_of
from agentgw_daemon.system.ids import now, seconds_of, time_text

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

# Of one webhook; older ones leave the log.
KEPT_ENDED: Final = 1000
_PRUNE_EVERY_S: Final = 86_400.0
_STATES: Final[tuple[DeliveryState, ...]] = get_args(DeliveryState)
_COLUMNS: Final = "id, hook, event, state, created_at, tries, retry_at, finished_at, status, error"


@record
class Pending:
    """A delivery that is to be tried. `retry_at`: not before then."""

    n: int
    id: str
    event: str
    body: str
    tries: int
    retry_at: str | None


@record
class Attempt:
    """The end of one try. `state` pending: it is tried again, not before `retry_at`."""

    state: Literal["pending", "delivered", "failed"]
    status: int | None = None
    error: str | None = None
    retry_at: str | None = None


@record
class HookStanding:
    """One webhook in the database: `gone` is the digest of the address that wants no more."""

    gone: str | None = None
    gone_at: str | None = None
    dropped: int = 0
    pending: int = 0


class Deliveries:
    """The deliveries in the database."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._pruned_at_s = float("-inf")

    async def next(self, hook: str) -> Pending | None:
        """The oldest that waits: those behind it wait for its end."""

        def do(db: sqlite_utils.Database) -> Pending | None:
            row = db.execute(
                "SELECT n, id, event, body, tries, retry_at FROM deliveries WHERE hook = ? AND state = 'pending'"
                " ORDER BY n LIMIT 1",
                (hook,),
            ).fetchone()
            return None if row is None else _pending_of(row)

        return await self._runner.read(do)

    async def tried(self, hook: str, pending: Pending, attempt: Attempt, *, keep_s: float) -> None:
        """Store what came of a try. Rows older than `keep_s` go."""

        def do(db: sqlite_utils.Database) -> None:
            at = now()
            db.execute(
                "UPDATE deliveries SET state = ?, tries = tries + 1, retry_at = ?, finished_at = ?, status = ?,"
                " error = ? WHERE n = ? AND state = 'pending'",
                (
                    attempt.state,
                    attempt.retry_at,
                    None if attempt.state == "pending" else at,
                    attempt.status,
                    attempt.error,
                    pending.n,
                ),
            )
            self._prune(db, hook, keep_s)

        await self._runner.write(do)

    async def add_tried(self, hook: str, event_id: str, event: str, body: str, attempt: Attempt) -> None:
        """Put a delivery that was sent by hand into the log."""

        def do(db: sqlite_utils.Database) -> None:
            at = now()
            db.execute(
                "INSERT INTO deliveries (id, hook, event, body, created_at, state, tries, finished_at, status, error)"
                " VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
                (event_id, hook, event, body, at, attempt.state, at, attempt.status, attempt.error),
            )

        await self._runner.write(do)

    async def list(self, hook: str, limit: int) -> tuple[Delivery, ...]:
        """The latest first."""

        def do(db: sqlite_utils.Database) -> tuple[Delivery, ...]:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM deliveries WHERE hook = ? ORDER BY n DESC LIMIT ?", (hook, limit)
            )
            return tuple(map(_delivery_of, found))

        return await self._runner.read(do)

    async def standings(self, hooks: Collection[str]) -> dict[str, HookStanding]:
        """The standing of each of these webhooks."""

        def do(db: sqlite_utils.Database) -> dict[str, HookStanding]:
            known = {
                row[0]: row[1:] for row in db.execute("SELECT hook, gone, gone_at, dropped FROM webhook_standings")
            }
            counts = dict(
                db.execute("SELECT hook, count(*) FROM deliveries WHERE state = 'pending' GROUP BY hook").fetchall()
            )
            made = {}
            for hook in hooks:
                gone, gone_at, dropped = known.get(hook, (None, None, 0))
                made[hook] = HookStanding(
                    gone=optional(text_of, gone), gone_at=optional(text_of, gone_at), dropped=number_of(dropped),
                    pending=counts.get(hook, 0),
                )  # fmt: skip
            return made

        return await self._runner.read(do)

    async def set_gone(self, hook: str, gone: str | None) -> None:
        """Note that the webhook's address (a digest) wants no more, so its deliveries have failed; None: it does."""

        def do(db: sqlite_utils.Database) -> None:
            db.execute(
                "INSERT INTO webhook_standings (hook, gone, gone_at) VALUES (?, ?, ?)"
                " ON CONFLICT (hook) DO UPDATE SET gone = excluded.gone, gone_at = excluded.gone_at",
                (hook, gone, now() if gone else None),
            )
            if gone is not None:
                db.execute(
                    "UPDATE deliveries SET state = 'failed', finished_at = ?, error = ?"
                    " WHERE hook = ? AND state = 'pending'",
                    (now(), "the receiver wants no more", hook),
                )

        await self._runner.write(do)

    def _prune(self, db: sqlite_utils.Database, hook: str, keep_s: float) -> None:
        db.execute(
            "DELETE FROM deliveries WHERE hook = ?1 AND state <> 'pending' AND n <= (SELECT n FROM deliveries"
            " WHERE hook = ?1 AND state <> 'pending' ORDER BY n DESC LIMIT 1 OFFSET ?2)",
            (hook, KEPT_ENDED),
        )
        if time.monotonic() - self._pruned_at_s >= _PRUNE_EVERY_S:
            self._pruned_at_s = time.monotonic()
            # Also of webhooks that are no longer in the file, and what never found its receiver.
            db.execute("DELETE FROM deliveries WHERE created_at < ?", (time_text(max(time.time() - keep_s, 0.0)),))


def _pending_of(row: Sequence[Any]) -> Pending:
    """The delivery of a row, such that it can be sent and ended: those behind it wait for that."""
    # A header takes no other characters.
    delivery_id = "".join(one if one.isascii() and one.isprintable() else "?" for one in text_of(row[1]))
    retry_at = optional(text_of, row[5])
    try:
        if retry_at is not None:
            seconds_of(retry_at)
    except (ValueError, OverflowError):
        retry_at = None
    return Pending(
        n=row[0], id=delivery_id, event=text_of(row[2]), body=text_of(row[3]), tries=number_of(row[4]),
        retry_at=retry_at,
    )  # fmt: skip


def _delivery_of(row: Sequence[Any]) -> Delivery:
    return Delivery(
        delivery_id=text_of(row[0]), webhook=text_of(row[1]), event=text_of(row[2]),
        state=word_of(row[3], _STATES, "failed"), created_at=text_of(row[4]), tries=number_of(row[5]),
        retry_at=optional(text_of, row[6]), finished_at=optional(text_of, row[7]),
        status=optional(number_of, row[8]), error=optional(text_of, row[9]),
    )  # fmt: skip
