"""Rows that have become bad, by a disk or an earlier version: each costs itself and no more."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.calls.daemon import StatsResult
from agentgw.protocol.calls.jobs import JobRun
from agentgw.protocol.calls.turns import StepCall, TurnStep
from agentgw.protocol.calls.webhooks import Delivery
from agentgw.protocol.records.schema import bind, dump
from agentgw.protocol.types import Approval, ApprovalRule, Document, Feedback, SearchHit, Session, ToolCall, Turn
from agentgw.transport.framing import decode, encode
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.deliveries.deliveries import Attempt
from agentgw_daemon.storage.documents.selection import Selection
from agentgw_daemon.storage.documents.watched import Watched
from agentgw_daemon.storage.jobs.job_rows import RunlessTimes, StoredStanding
from agentgw_daemon.storage.json_text import BAD, UNREADABLE
from agentgw_daemon.storage.sessions.approvals import StoredApproval
from agentgw_daemon.storage.sessions.log import pack, shown
from agentgw_daemon.storage.sessions.steps import ShownPrompt, StepRows
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd
from tests.hostile import DEEP
from tests.storage.papers import new, pieces_of

pytestmark = pytest.mark.anyio

CALL = ToolCall(call_id="c1", tool="query_sqlite", arguments={"params": [1]}, ok=True, content="1")
STEP = TurnStep(text="", calls=(StepCall(tool="query_sqlite", arguments="{}", ok=True, content="1"),))
DELTA = {"text": "yes", "channel": "answer"}
NAN = '{"params": [NaN]}'
BROKEN = ["", "{", "[1]", "null", DEEP, "\x00", NAN, '{"unknown": 1}']


async def spoil(database: Database, sql: str, *values: Any) -> None:
    await database._thread.write(lambda db: db.execute(sql, values))


async def turn_of(database: Database, *, ended: bool = True) -> tuple[str, str]:
    """A turn with a call, and its session."""
    turn = (await database.turns.start(NewTurn(message="ask", skill="s", model="echo", state="running"))).turn
    turn_id = turn.turn_id
    await database.steps.write(
        turn_id, StepRows(first=1, steps=(STEP,), shown=ShownPrompt()), pack([(1, "turn.delta", DELTA)])
    )
    await database.calls.begin(turn_id, CALL)
    await database.calls.end(turn_id, CALL, untrusted=False)
    if ended:
        await database.turns.finish(turn_id, TurnEnd(state="completed", finish_reason="stop", text="yes"))
    return turn_id, turn.session_id


def sent(value: Any) -> None:
    """Checks that the value can be sent, and read by the strictest reader."""
    decode(encode(dump(value)).rstrip(b"\n"), max_depth=100)


@pytest.mark.parametrize("bad", BROKEN)
async def test_the_arguments_of_a_call_are_shown_as_far_as_they_can_be_read(database: Database, bad: str) -> None:
    turn_id, session_id = await turn_of(database)
    await spoil(database, "UPDATE tool_calls SET arguments = ?", bad)
    page = await database.sessions.messages(session_id)
    assert page.messages[-1].content == "yes"
    sent(page)
    sent(await database.turns.detail(turn_id))
    for form in ("md", "json"):
        (await database.sessions.export(session_id, format=form)).encode()  # type: ignore[arg-type]  # they are its words


async def test_nan_becomes_null(database: Database) -> None:
    _, session_id = await turn_of(database)
    await spoil(database, "UPDATE tool_calls SET arguments = ?", NAN)
    (call,) = (await database.sessions.messages(session_id)).messages[-1].tool_calls or ()
    assert call.arguments == {"params": [None]}


@pytest.mark.parametrize("column", ["request", "options", "timings", "history", "sources"])
@pytest.mark.parametrize("bad", ["", "{", "7", DEEP, '{"unknown": 1}', '{"seed": NaN}'])
async def test_a_turn_is_shown_without_the_part_that_went_bad(database: Database, column: str, bad: str) -> None:
    turn_id, _ = await turn_of(database)
    await spoil(database, f"UPDATE turns SET {column} = ?", bad)
    detail = await database.turns.detail(turn_id)
    assert (detail.message, detail.text, detail.tool_calls) == ("ask", "yes", (CALL,))
    assert detail.unreadable in ((column,), None)
    sent(detail)


@pytest.mark.parametrize("bad", BROKEN)
async def test_a_step_that_went_bad_is_empty_and_named(database: Database, bad: str) -> None:
    turn_id, _ = await turn_of(database)
    await spoil(database, "UPDATE turn_steps SET step = ?", bad)
    detail = await database.turns.detail(turn_id)
    assert (detail.steps, detail.unreadable) == ((TurnStep(text=""),), ("steps[1]",))


async def test_what_is_no_text_is_shown_as_one(database: Database) -> None:
    turn_id, session_id = await turn_of(database)
    await spoil(database, "UPDATE messages SET content = CAST(x'61ff' AS BLOB)")
    await spoil(database, "UPDATE sessions SET title = x'ff'")
    await spoil(database, "UPDATE tool_calls SET content = x'ff', tool = x'ff'")
    for value in (
        await database.sessions.list(), await database.sessions.messages(session_id),
        await database.turns.detail(turn_id), await database.sessions.export(session_id),
    ):  # fmt: skip
        sent(value)
    assert (await database.sessions.whole_history(session_id))[0].content == "a\ufffd"


@pytest.mark.parametrize("bad", [*BROKEN, '{"texts": [1], "channel": "answer"}', '{"texts": [], "channel": "answer"}'])
async def test_a_notice_stands_for_a_part_of_the_log_that_cannot_be_read(database: Database, bad: str) -> None:
    turn_id, _ = await turn_of(database)
    await spoil(database, "UPDATE turn_log SET payload = ?", bad)
    (row,) = await database.log.read(turn_id)
    ((seq, method, params),) = shown(row)
    assert (seq, method, params["code"]) == (1, "turn.notice", "unreadable")


async def test_a_question_and_a_rule_are_shown_as_far_as_they_can_be_read(database: Database) -> None:
    turn_id, session_id = await turn_of(database, ended=False)
    approval = Approval(
        approval_id="a-1", tool="t", arguments={}, cwd="/", turn_id=turn_id, session_id=session_id,
        asked_at="2026-01-01T00:00:00.000Z", expires_at="2026-01-01T00:02:00.000Z",
    )  # fmt: skip
    await database.approvals.add(StoredApproval(approval=approval, call_id="c2", digest="d"))
    (stored,) = await database.approvals.open_of(turn_id)
    await database.approvals.settle(stored, "allow_always")
    await spoil(database, "UPDATE approvals SET decision = NULL, arguments = ?, details = ?", NAN, "{")
    await spoil(database, "UPDATE approval_rules SET arguments = ?", DEEP[:300])
    (stored,) = await database.approvals.open_of(turn_id)
    assert (stored.approval.arguments, stored.approval.details) == ({"params": [None]}, None)
    (rule,) = await database.approvals.rules()
    assert list(rule.arguments) == [UNREADABLE]
    sent([stored.approval, rule])


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE turn_steps SET step = ?", "UPDATE tool_calls SET arguments = ?", "UPDATE turns SET request = ?",
        "UPDATE turns SET options = ?", "UPDATE turns SET history = ?",
    ],
)  # fmt: skip
@pytest.mark.parametrize("bad", [NAN, DEEP, "{"])
async def test_a_turn_with_a_bad_record_is_not_gone_on_with(database: Database, sql: str, bad: str) -> None:
    turn_id, _ = await turn_of(database, ended=False)
    assert await database.unfinished.ids() == (turn_id,)
    await spoil(database, sql, bad)
    with pytest.raises(BAD):
        await database.unfinished.read(turn_id)


async def test_a_database_full_of_bad_rows_opens_and_gives_what_can_be_read(data: Path) -> None:
    async with Database.open(data) as database:
        turn_id, session_id = await turn_of(database, ended=False)
        await turn_of(database)
        for sql in (
            "UPDATE turn_log SET payload = '{\"texts\": [1, {}], \"channel\": []}', seq = 'x', count = 'y'",
            "UPDATE turn_steps SET step = x'00'", "UPDATE tool_calls SET arguments = x'00'",
            "UPDATE turns SET request = '[', options = '[', timings = 7, toolset = 'gone'",
        ):  # fmt: skip
            await spoil(database, sql)
    async with Database.open(data) as database:
        for left in await database.unfinished.ids():
            await database.unfinished.give_up(left)
        assert (await database.turns.get(turn_id)).state == "interrupted"
        sent(await database.turns.detail(turn_id))
        sent(await database.statistics())
        assert len((await database.sessions.list()).sessions) == 2
        assert await database.sessions.delete(session_id) == (session_id,)


async def test_a_followed_folder_that_is_stored_badly_is_left_out(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await database.watched.put(Watched(path="/a", collection="default"))
    await database.watched.put(Watched(path="/b", collection="default"))
    await spoil(database, "UPDATE watched SET tags = '{' WHERE path = x'2f61'")
    assert [one.path for one in await database.watched.all()] == ["/b"]
    assert "not followed" in caplog.text


async def test_half_an_emoji_is_stored_and_read(database: Database) -> None:
    turn = (await database.turns.start(NewTurn(message="m", skill="s", model="echo"))).turn
    await database.log.append(turn.turn_id, pack([(1, "turn.delta", {"text": "\ud83d", "channel": "answer"})]))
    (row,) = await database.log.read(turn.turn_id)
    assert json.loads(row.payload)["texts"] == ["\ufffd"]


async def _listed(database: Database) -> dict[str, int]:
    """The number of rows in each listing, each of which can be sent and is what its record says."""
    turns = await database.turns.list()
    read: dict[str, tuple[type, tuple[Any, ...]]] = {
        "sessions": (Session, (await database.sessions.list()).sessions),
        "turns": (Turn, turns.turns),
        "feedback": (Feedback, (await database.feedback.list()).ratings),
        "approval_rules": (ApprovalRule, await database.approvals.rules()),
        "deliveries": (Delivery, await database.deliveries.list("hook", 10)),
        "job_runs": (JobRun, (await database.jobs.history()).runs),
        "documents": (Document, (await database.documents.list(Selection())).documents),
        "hits": (SearchHit, await database.sessions.search("ask")),
        "statistics": (StatsResult, (await database.statistics(),)),
    }
    for kind, rows in read.values():
        for row in rows:
            sent(row)
            bind(kind, dump(row))
    for trusted in await database.trust.all():
        assert {type(value) for value in (trusted.path, trusted.sha256, trusted.trusted_at)} == {str}
    return {name: len(rows) for name, (_, rows) in read.items()} | {"trust": len(await database.trust.all())}


async def _fill(database: Database) -> None:
    """Two rows of everything that is listed."""
    standing = StoredStanding(considered=datetime(2026, 1, 1, tzinfo=UTC), fingerprint="f")
    for n in (1, 2):
        turn_id, session_id = await turn_of(database)
        await database.feedback.add(1, turn_id=turn_id, comment="why")
        approval = Approval(
            approval_id=f"a-{n}", tool="t", arguments={}, cwd="/", turn_id=turn_id, session_id=session_id,
            asked_at="2026-01-01T00:00:00.000Z", expires_at="2026-01-01T00:02:00.000Z",
        )  # fmt: skip
        stored = StoredApproval(approval=approval, call_id="c2", digest=f"d{n}")
        await database.approvals.add(stored)
        await database.approvals.settle(stored, "allow_always")
        await database.deliveries.add_tried("hook", f"e-{n}", "webhook.test", "{}", Attempt(state="failed", error="x"))
        run = RunlessTimes(
            job=f"j{n}", first=standing.considered, scheduled_for=standing.considered, status="skipped", count=1,
            more=False, why="w", lateness_s=1.0,
        )  # fmt: skip
        await database.jobs.record(run, standing, now=standing.considered)
        await database.documents.put(new(f"/d{n}", f"text {n}"), pieces_of(f"text {n}"), None)
        await database.trust.put(f"/p{n}", "0" * 64)


@pytest.mark.parametrize("value", [b"a\xff", 7, float("inf"), "\u202eodd"], ids=repr)
async def test_a_value_of_any_kind_costs_no_more_than_its_row(database: Database, value: Any) -> None:
    await _fill(database)
    before = await _listed(database)
    await database._thread.read(lambda db: db.execute("PRAGMA foreign_keys = OFF"))
    for table in (
        "sessions", "turns", "messages", "feedback", "approval_rules", "deliveries", "job_runs", "documents",
        "contents", "document_labels", "trust",
    ):  # fmt: skip
        columns = await database._thread.read(lambda db, t=table: db.execute(f"PRAGMA table_info({t})").fetchall())
        for name, kind in ((row[1], row[2]) for row in columns):
            keys = [row[1] for row in columns if row[5]] or ["rowid"]
            same = " AND ".join(f"{key} IS (SELECT {key} FROM {table} LIMIT 1)" for key in keys)
            kept = await database._thread.read(lambda db, t=table: db.execute(f"SELECT * FROM {t}").fetchall())
            if not kept or (name in keys and kind == "INTEGER"):
                continue
            try:
                await spoil(database, f"UPDATE {table} SET {name} = ? WHERE {same}", value)
            except sqlite3.IntegrityError:
                continue
            after = await _listed(database)
            assert all(after[one] >= count - 1 for one, count in before.items()), (table, name, before, after)
            await spoil(database, f"DELETE FROM {table}")
            for row in kept:
                await spoil(database, f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)


async def test_a_delivery_that_lies_there_badly_can_be_sent_and_ended(database: Database) -> None:
    await database.deliveries.add_tried("hook", "e-1", "webhook.test", "{}", Attempt(state="failed"))
    await spoil(
        database,
        "UPDATE deliveries SET state = 'pending', id = 'e\n\u202e', body = x'7bff', tries = 'x', retry_at = 'no'",
    )
    pending = await database.deliveries.next("hook")
    assert pending is not None
    assert (pending.id, pending.body, pending.tries, pending.retry_at) == ("e??", "{\ufffd", 0, None)
    await database.deliveries.tried("hook", pending, Attempt(state="failed"), keep_s=1e9)
    assert await database.deliveries.next("hook") is None
