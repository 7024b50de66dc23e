"""The turn log: every notification of a turn, kept so that it can be sent again from any number on.

A run of consecutive deltas of one channel is one row, since an answer is hundreds of deltas and little else.
`pack` and `unpack` are pure and exact: what goes in comes out. A delta's params are `text` and `channel`, no more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from agentgw.protocol.errors import NotFound
from agentgw.protocol.events import TurnDelta, TurnNotice
from agentgw.protocol.records.schema import record
from agentgw_daemon.events.stored_event import StoredEvent
from agentgw_daemon.storage.json_text import BAD, from_text, repaired, to_text

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

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
        return LogRow(seq=self.seq, count=len(self.texts), method=DELTA, payload=to_text(payload))


def pack(events: Iterable[StoredEvent]) -> tuple[LogRow, ...]:
    """Rows for notifications."""
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
        rows.append(LogRow(seq=seq, count=1, method=method, payload=to_text(params)))
    if run is not None:
        rows.append(run.row())
    return tuple(rows)


def unpack(row: LogRow, from_seq: int = 1) -> Iterator[StoredEvent]:
    """The row's notifications from number `from_seq` on.

    Raises one of `json_text.BAD` when it is not as it was written.
    """
    yield from _events(row, from_text(row.payload), from_seq)


def shown(row: LogRow, from_seq: int = 1) -> Iterator[StoredEvent]:
    """The events as `unpack` gives them, of a row that may have become bad: a notice stands for what cannot be
    read.
    """
    try:
        found = list(_events(row, repaired(row.payload), from_seq))
    except BAD:
        params = {"code": "unreadable", "text": "this part of the turn cannot be read"}
        found = [StoredEvent(row.seq, TurnNotice.method, params)]
    yield from found


def _events(row: LogRow, payload: Any, from_seq: int) -> Iterator[StoredEvent]:
    if row.method != DELTA:
        if not isinstance(payload, dict):
            raise TypeError("no object")
        if row.seq >= from_seq:
            yield StoredEvent(row.seq, row.method, payload)
        return
    texts, channel = payload["texts"], payload["channel"]
    for seq in range(max(row.seq, from_seq), row.seq + row.count):
        text = texts[seq - row.seq]
        if not isinstance(text, str):
            raise TypeError("no text")
        yield StoredEvent(seq, row.method, {"text": text, "channel": channel})


def answer_so_far(rows: Iterable[LogRow]) -> str:
    """The answer as far as these rows tell it and can be read; reasoning is not part of it."""
    pieces: list[str] = []
    for row in rows:
        if row.method != DELTA:
            continue
        try:
            pieces += [one.params["text"] for one in unpack(row) if one.params.get("channel", "answer") == "answer"]
        except BAD:
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


class TurnLogStore:
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
