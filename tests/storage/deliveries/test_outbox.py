"""Events are written with what they tell of, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from agentgw.protocol.calls.webhooks import WebhookEvent
from agentgw.protocol.errors import SessionBusy
from agentgw.protocol.types import ToolCall
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.deliveries import outbox as module
from agentgw_daemon.storage.deliveries.deliveries import Attempt
from agentgw_daemon.storage.deliveries.outbox import MAX_VALUE_CHARS, EventOutbox, body_of
from agentgw_daemon.storage.jobs.job_rows import NewRun, StoredStanding
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd

pytestmark = pytest.mark.anyio

EVERYTHING = dict.fromkeys(get_args(WebhookEvent), ("all",))
SECRET_WORDS = "what was said"


@pytest.fixture
def told(database: Database) -> Database:
    database.outbox.route(EVERYTHING)
    return database


async def events(database: Database, hook: str = "all") -> list[tuple[str, dict[str, Any]]]:
    """Events that wait for the webhook, in order, with their data."""
    made = []
    while (found := await database.deliveries.next(hook)) is not None:
        body = json.loads(found.body)
        assert body["event"] == found.event
        assert SECRET_WORDS not in found.body
        made.append((found.event, body["data"]))
        await database.deliveries.tried(hook, found, Attempt(state="delivered", status=204), keep_s=1e9)
    return made


async def names(database: Database) -> list[str]:
    return [event for event, _ in await events(database)]


async def begin(database: Database, **more: Any) -> str:
    started = await database.turns.start(NewTurn(message=SECRET_WORDS, skill="s", model="echo", **more))
    return started.turn.turn_id


async def test_a_turn_is_told_from_its_session_to_its_end(told: Database) -> None:
    turn_id = await begin(told)
    call = ToolCall(call_id="c-1", tool="read_file", arguments={"path": SECRET_WORDS})
    await told.calls.begin(turn_id, call)
    done = ToolCall(call_id="c-1", tool="read_file", arguments={}, ok=True, content=SECRET_WORDS)
    await told.calls.end(turn_id, done, untrusted=False)
    await told.turns.finish(turn_id, TurnEnd(state="completed", finish_reason="stop", text=SECRET_WORDS))
    await told.feedback.add(1, turn_id=turn_id, comment=SECRET_WORDS)
    found = await events(told)
    assert [event for event, _ in found] == [
        "session.created", "agent.started", "tool.executed", "agent.completed", "feedback.received",
    ]  # fmt: skip
    assert {data["session_id"] for _, data in found} == {found[0][1]["session_id"]}
    assert found[2][1]["tool"] == "read_file"
    assert found[3][1]["finish_reason"] == "stop"


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_any_other_end_is_a_failure(told: Database, state: Any) -> None:
    turn_id = await begin(told)
    await told.turns.finish(turn_id, TurnEnd(state=state, error=SECRET_WORDS))
    (*_, (event, data)) = await events(told)
    assert (event, data["state"]) == ("agent.failed", state)


async def test_an_end_that_could_not_be_stored_is_told_once(told: Database) -> None:
    turn_id = await begin(told)
    await told.turns.fail(turn_id, SECRET_WORDS)
    await told.turns.fail(turn_id, SECRET_WORDS)
    await told.turns.finish(turn_id, TurnEnd(state="completed"))
    assert await names(told) == ["session.created", "agent.started", "agent.failed"]


async def test_a_turn_that_a_crash_cut_off_is_told_by_the_next_daemon(tmp_path: Path) -> None:
    async with Database.open(tmp_path) as database:
        await begin(database)
    async with Database.open(tmp_path, outbox=EventOutbox(EVERYTHING)) as database:
        ((event, data),) = await events(database)
    assert (event, data["state"]) == ("agent.failed", "interrupted")


async def test_sessions_by_hand_and_copies_are_told(told: Database) -> None:
    made = await told.sessions.create("s")
    copy = await told.sessions.fork(made.session_id)
    assert [data["session_id"] for _, data in await events(told)] == [made.session_id, copy.session_id]


async def test_what_is_not_committed_is_not_told(told: Database) -> None:
    started = await told.turns.start(NewTurn(message="a", skill="s", model="echo"))
    with pytest.raises(SessionBusy):
        await begin(told, session_id=started.turn.session_id)
    again = await told.turns.start(NewTurn(message="a", skill="s", model="echo", idempotency_key="k"))
    await told.turns.start(NewTurn(message="a", skill="s", model="echo", idempotency_key="k"))
    assert again.created
    assert await names(told) == ["session.created", "agent.started"] * 2


async def test_the_end_of_a_jobs_run_is_told_also_of_one_that_was_cut_off(told: Database) -> None:
    noon = datetime(2027, 3, 28, 12, 0, tzinfo=UTC)
    standing = StoredStanding(considered=noon, fingerprint="x")
    run = NewRun(job="a", scheduled_for=noon, reason="on_time", attempt=1, lateness_s=0.0)
    first = await told.jobs.begin(run, standing, now=noon)
    assert first is not None
    for _ in range(2):
        await told.jobs.end(first, "failed", SECRET_WORDS, ("a", standing), now=noon)
    cut_off = await told.jobs.begin(replace(run, reason="manual"), standing, now=noon)
    await told.jobs.interrupt(SECRET_WORDS, now=noon)
    found = [data for event, data in await events(told) if event == "job.finished"]
    assert [(data["run_id"], data["job"], data["status"]) for data in found] == [
        (first, "a", "failed"), (cut_off, "a", "interrupted"),
    ]  # fmt: skip
    assert found[0]["scheduled_for"] == found[0]["finished_at"] == "2027-03-28T12:00:00.000Z"


async def test_each_webhook_has_its_own_row_of_the_same_id(database: Database) -> None:
    database.outbox.route({"session.created": ("a", "b"), "agent.started": ("b",)})
    await begin(database)
    first, second = await database.deliveries.next("a"), await database.deliveries.next("b")
    assert first is not None
    assert second is not None
    assert (first.id, first.body) == (second.id, second.body)
    assert await events(database, "c") == []


async def test_the_listener_hears_of_rows_and_of_nothing_else(tmp_path: Path) -> None:
    heard: list[None] = []
    outbox = EventOutbox(EVERYTHING, on_added=lambda: heard.append(None))
    async with Database.open(tmp_path, outbox=outbox) as told:
        await told.turns.list()
        assert not heard
        await told.sessions.create("s")
        assert len(heard) == 1


async def test_a_full_queue_counts_what_it_leaves_out(told: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    for _ in range(5):
        await told.sessions.create("s")
    standing = (await told.deliveries.standings(["all"]))["all"]
    assert (standing.pending, standing.dropped) == (2, 3)


def test_a_value_is_valid_and_short() -> None:
    body = json.loads(body_of("agent.started", "now", {"model": "\ud800" + "x" * 9999, "none": None, "ok": True}))
    assert body["data"]["model"][0] == "\ufffd"
    assert len(body["data"]["model"]) == MAX_VALUE_CHARS
    assert "none" not in body["data"]
    assert body["data"]["ok"] is True
