"""The turn log: every notification of a turn, kept so that it can be sent again from any number on.

A run of consecutive deltas of one channel is one row, since an answer is hundreds of deltas and little else.
`pack` and `unpack` are pure and exact: what goes in comes out. A delta's params are `text` and `channel`, no more.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from agentgw.errors import NotFound
from agentgw.events import TurnDelta
from agentgw.schema import record

if TYPE_CHECKING:
    from agentgw_daemon.storage.connection import Runner
    from agentgw_daemon.storage.library import sqlite_utils

DELTA: Final = TurnDelta.method


@record
class LogRow:
    """One row: `count` notifications numbered from `seq`. `payload` is JSON without ids and numbers."""

    seq: int
    count: int
    method: str
    payload: str

    @property
    def last_seq(self) -> int:
        """Number of the row's last notification."""
        return self.seq + self.count - 1


class _Run:
    """Deltas of one channel while they are being collected."""

    def __init__(self, seq: int, channel: object) -> None:
        self.seq = seq
        self.channel = channel
        self.texts: list[str] = []

    def takes(self, seq: int, channel: object) -> bool:
        return seq == self.seq + len(self.texts) and channel == self.channel

    def row(self) -> LogRow:
        payload = {"channel": self.channel, "texts": self.texts}
        return LogRow(seq=self.seq, count=len(self.texts), method=DELTA, payload=_to_json(payload))


def pack(events: Iterable[tuple[int, str, Mapping[str, Any]]]) -> tuple[LogRow, ...]:
    """Rows for notifications given as (seq, method, params), where params hold neither ids nor seq."""
    rows: list[LogRow] = []
    run: _Run | None = None
    for seq, method, params in events:
        if method == DELTA:
            channel = params["channel"]
            if run is None or not run.takes(seq, channel):
                if run is not None:
                    rows.append(run.row())
                run = _Run(seq, channel)
            run.texts.append(params["text"])
            continue
        if run is not None:
            rows.append(run.row())
            run = None
        rows.append(LogRow(seq=seq, count=1, method=method, payload=_to_json(dict(params))))
    if run is not None:
        rows.append(run.row())
    return tuple(rows)


def unpack(row: LogRow, from_seq: int = 1) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """The row's notifications from number `from_seq` on, as (seq, method, params)."""
    payload: dict[str, Any] = json.loads(row.payload)
    if row.method != DELTA:
        if row.seq >= from_seq:
            yield row.seq, row.method, payload
        return
    texts: list[str] = payload["texts"]
    for seq in range(max(row.seq, from_seq), row.seq + row.count):
        yield seq, row.method, {"text": texts[seq - row.seq], "channel": payload["channel"]}


def answer_so_far(rows: Iterable[LogRow]) -> str:
    """The answer as far as these rows tell it and can be read; reasoning is not part of it."""
    pieces: list[str] = []
    for row in rows:
        if row.method != DELTA:
            continue
        try:
            pieces += [params["text"] for _, _, params in unpack(row) if params.get("channel", "answer") == "answer"]
        except (ValueError, LookupError, TypeError, AttributeError):
            # A row that rotted on the disk ends what is known; it must not keep the database from opening.
            break
    return "".join(pieces)


def insert_rows(db: sqlite_utils.Database, turn_id: str, rows: Iterable[LogRow]) -> None:
    """Write rows of one turn. Writing a run again, longer, replaces it: a failed append may simply be repeated."""
    db.conn.executemany(
        "INSERT OR REPLACE INTO turn_log (turn_id, seq, count, method, payload) VALUES (?, ?, ?, ?, ?)",
        [(turn_id, row.seq, row.count, row.method, row.payload) for row in rows],
    )


def read_rows(db: sqlite_utils.Database, turn_id: str, from_seq: int = 1) -> tuple[LogRow, ...]:
    """Rows that hold notifications from `from_seq` on, in order."""
    found = db.execute(
        "SELECT seq, count, method, payload FROM turn_log WHERE turn_id = ? AND seq + count > ? ORDER BY seq",
        (turn_id, from_seq),
    )
    return tuple(LogRow(seq=row[0], count=row[1], method=row[2], payload=row[3]) for row in found)


class TurnLog:
    """The log in the database."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def append(self, turn_id: str, rows: Iterable[LogRow]) -> None:
        """Store rows of a turn. Raises NotFound when there is no such turn."""
        kept = tuple(rows)

        def do(db: sqlite_utils.Database) -> None:
            try:
                insert_rows(db, turn_id, kept)
            except sqlite3.IntegrityError:
                raise NotFound(f"no turn {turn_id}", kind="turn", id=turn_id) from None

        await self._runner.write(do)

    async def read(self, turn_id: str, from_seq: int = 1) -> tuple[LogRow, ...]:
        """Rows from notification `from_seq` on, in order; the first may begin before it: `unpack` cuts it."""
        return await self._runner.read(lambda db: read_rows(db, turn_id, from_seq))


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
