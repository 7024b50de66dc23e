from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentgw.protocol.errors import InvalidParams, NotFound, SessionBusy
from agentgw.protocol.types import ToolCall
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.fork import KEPT
from agentgw_daemon.storage.sessions.log import pack, unpack
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd
from agentgw_daemon.storage.sqlite.library import sqlite_utils
from agentgw_daemon.system import ids
from tests.ticking import StandingClock

pytestmark = pytest.mark.anyio


async def _talk(database: Database, message: str, answer: str, session_id: str | None = None, **fields: str) -> str:
    new = NewTurn(message=message, skill="general-assistant", model="echo", session_id=session_id, **fields)  # type: ignore[arg-type]  # fields are those of NewTurn
    turn = (await database.turns.start(new)).turn
    await database.turns.finish(turn.turn_id, TurnEnd(state="completed", finish_reason="stop", text=answer))
    return turn.session_id


async def test_a_session_is_found_by_its_id_and_by_a_unique_beginning(database: Database) -> None:
    made = await database.sessions.create("quick-assistant", cwd="/home", title="Notes")
    assert (made.title, made.skill, made.cwd, made.turns) == ("Notes", "quick-assistant", "/home", 0)
    assert await database.sessions.get(made.session_id) == made
    assert await database.sessions.get(made.session_id[:6]) == made


async def test_an_ambiguous_beginning_says_so(database: Database) -> None:
    await database.sessions.create("s")
    await database.sessions.create("s")
    with pytest.raises(InvalidParams) as caught:
        await database.sessions.get("s-")
    assert caught.value.data["reason"] == "ambiguous"


@pytest.mark.parametrize("given", ["s-zzzz", "nothing", "%", "_", "'; DROP TABLE sessions; --", "\U0010ffff"])
async def test_an_unknown_session_is_not_found(database: Database, given: str) -> None:
    await database.sessions.create("s")
    with pytest.raises(NotFound):
        await database.sessions.get(given)


@pytest.mark.usefixtures("ticking")
async def test_sessions_are_listed_last_used_first_and_page_by_page(database: Database) -> None:
    first = await _talk(database, "one", "1", cwd="/a")
    others = [await _talk(database, f"m{n}", "x", cwd="/b") for n in range(4)]
    await _talk(database, "again", "2", session_id=first)
    expected = [first, *reversed(others)]
    found, before = [], None
    for _ in range(3):
        page = await database.sessions.list(limit=2, before=before)
        found += [session.session_id for session in page.sessions]
        before = page.next
    assert found == expected
    assert before is None
    assert [s.session_id for s in (await database.sessions.list(cwd="/a")).sessions] == [first]


@pytest.mark.parametrize("before", ["x", "====", "bnVsbA", "WzFd", "W10", "[", "é", "WyJhIiwgMV0", "🙂"])
async def test_a_foreign_cursor_is_an_invalid_parameter(database: Database, before: str) -> None:
    with pytest.raises(InvalidParams, match="before"):
        await database.sessions.list(before=before)


async def test_a_cursor_beyond_what_the_database_counts_is_an_invalid_parameter(database: Database) -> None:
    session = await database.sessions.create("s")
    with pytest.raises(InvalidParams, match="before"):
        await database.sessions.messages(session.session_id, before="WzkyMjMzNzIwMzY4NTQ3NzU4MDhd")  # [2**63]


async def test_the_latest_session_is_the_one_last_used_in_that_directory(database: Database) -> None:
    old = await _talk(database, "one", "1", cwd="/a")
    await _talk(database, "two", "2", cwd="/a")
    await _talk(database, "three", "3", session_id=old, cwd="/a")
    await _talk(database, "elsewhere", "4", cwd="/b")
    latest = await database.sessions.latest("/a")
    assert latest is not None
    assert latest.session_id == old
    assert await database.sessions.latest("/c") is None


async def test_of_sessions_of_one_millisecond_the_last_made_is_the_latest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ids, "time", StandingClock(1_700_000_000_000_000_000))
    made = [(await database.sessions.create("s", cwd="/a")).session_id for _ in range(20)]
    latest = await database.sessions.latest("/a")
    assert latest is not None
    assert latest.session_id == made[-1]
    assert [one.session_id for one in (await database.sessions.list()).sessions] == made[::-1]


async def test_a_session_without_turns_can_be_the_latest(database: Database) -> None:
    made = await database.sessions.create("s", cwd="/a")
    assert await database.sessions.latest("/a") == made


async def test_renaming_changes_the_title_alone(database: Database) -> None:
    session = await database.sessions.get(await _talk(database, "one", "1"))
    renamed = await database.sessions.rename(session.session_id, "Better")
    assert renamed.title == "Better"
    assert renamed.updated_at == session.updated_at


async def test_messages_come_oldest_first_and_page_backwards(database: Database) -> None:
    session = await _talk(database, "m0", "a0")
    for n in range(1, 4):
        await _talk(database, f"m{n}", f"a{n}", session_id=session)
    pages, before = [], None
    for _ in range(3):
        page = await database.sessions.messages(session, limit=3, before=before)
        pages.append([message.content for message in page.messages])
        before = page.next
    assert pages == [["a2", "m3", "a3"], ["m1", "a1", "m2"], ["m0", "a0"]]
    assert before is None


async def _called(database: Database, *, text: str) -> str:
    """A session whose one turn called a tool three times."""
    turn = (await database.turns.start(NewTurn(message="look", skill="s", model="echo"))).turn
    for number, (ok, content) in enumerate([(True, "```\nthere\n\nis"), (False, "no file"), (None, None)]):
        call = ToolCall(call_id=f"c{number}", tool="read_file", arguments={"path": "é"}, ok=ok, content=content)
        await database.calls.begin(turn.turn_id, call)
        if ok is not None:
            await database.calls.end(turn.turn_id, call, untrusted=False)
    await database.turns.finish(turn.turn_id, TurnEnd(state="completed", finish_reason="stop", text=text))
    return turn.session_id


@pytest.mark.parametrize(("text", "bearer"), [("answer", 1), ("", 0)])
async def test_the_last_message_of_a_turn_has_its_calls(database: Database, text: str, bearer: int) -> None:
    messages = (await database.sessions.messages(await _called(database, text=text))).messages
    assert len(messages) == bearer + 1
    assert [(call.tool, call.ok, call.content) for call in messages[bearer].tool_calls or ()] == [
        ("read_file", True, "```\nthere\n\nis"), ("read_file", False, "no file"), ("read_file", None, None)
    ]  # fmt: skip
    assert all(message.tool_calls is None for message in messages[:bearer])


async def test_an_export_has_the_calls_between_question_and_answer(database: Database) -> None:
    session = await _called(database, text="It is there.")
    text = await database.sessions.export(session)
    calls = text[text.index("## assistant") : text.index("It is there.")]
    assert 'Tool read_file:\n\n    {"path": "é"}\n\nResult:\n\n    ```\n    there\n    \n    is\n' in calls
    assert "Tool read_file, failed:" in calls
    assert "Tool read_file, cut off:" in calls
    (_, answer) = json.loads(await database.sessions.export(session, "json"))["messages"]
    assert [call["tool"] for call in answer["tool_calls"]] == ["read_file"] * 3


async def test_history_holds_turns_with_an_answer_but_for_failed_ones(database: Database) -> None:
    session = await _talk(database, "kept", "yes")
    ends = (
        ("cancelled", TurnEnd(state="cancelled", finish_reason="cancelled", text="half")),
        ("cancelled at once", TurnEnd(state="cancelled", finish_reason="cancelled")),
        ("failed", TurnEnd(state="failed", text="broken", error="worker died")),
        ("failed at once", TurnEnd(state="failed", error="nobody there")),
        ("out of steps", TurnEnd(state="completed", finish_reason="iteration_limit")),
    )
    for message, end in ends:
        new = NewTurn(message=message, skill="s", model="echo", session_id=session)
        await database.turns.finish((await database.turns.start(new)).turn.turn_id, end)
    await database.turns.start(NewTurn(message="now running", skill="s", model="echo", session_id=session))
    history = await database.sessions.whole_history(session)
    assert [(entry.role, entry.content) for entry in history] == [
        ("user", "kept"),
        ("assistant", "yes"),
        ("user", "cancelled"),
        ("assistant", "half"),
        ("user", "out of steps"),
    ]


async def test_a_fork_is_a_copy_under_new_ids(database: Database) -> None:
    session = await _talk(database, "m0", "a0", cwd="/a")
    turn = (await database.turns.list(session)).turns[0].turn_id
    await _talk(database, "m1", "a1", session_id=session, idempotency_key="k")
    fork = await database.sessions.fork(session)
    assert fork.parent_id == session
    assert fork.turns == 2
    original = await database.sessions.messages(session)
    copied = await database.sessions.messages(fork.session_id)
    assert [m.content for m in copied.messages] == ["m0", "a0", "m1", "a1"]
    assert not {m.id for m in original.messages} & {m.id for m in copied.messages}
    assert not {m.turn_id for m in original.messages} & {m.turn_id for m in copied.messages}
    until = await database.sessions.fork(session, at=turn)
    assert [m.content for m in (await database.sessions.messages(until.session_id)).messages] == ["m0", "a0"]


def test_a_fork_keeps_all_that_a_turn_has_but_what_is_its_own(data: Path) -> None:
    def look(db: sqlite_utils.Database) -> tuple[set[str], set[str]]:
        bound = {table.name for table in db.tables if any(key.other_table == "turns" for key in table.foreign_keys)}
        return {column.name for column in db.table("turns").columns}, bound

    store = DatabaseFiles(data, "WAL")
    store.open()
    columns, tables = store.read(look)
    store.close()
    assert columns - {name.strip() for name in KEPT.split(",")} == {
        "n",
        "id",
        "session_id",
        "idempotency_key",
        "resumption",
    }
    # Questions, ratings and the sessions of those it delegated to are of the turn that ran.
    copied = {"messages", "turn_log", "turn_steps", "tool_calls", "summaries"}
    assert tables - copied == {"approvals", "feedback", "sessions"}


async def test_a_forks_turns_can_be_replayed_and_its_running_turn_is_left_out(database: Database) -> None:
    turn = (await database.turns.start(NewTurn(message="m", skill="s", model="echo"))).turn
    events = [(1, "turn.delta", {"text": "a", "channel": "answer"})]
    await database.turns.finish(turn.turn_id, TurnEnd(state="completed", text="a"), pack(events))
    await database.turns.start(NewTurn(message="running", skill="s", model="echo", session_id=turn.session_id))
    fork = await database.sessions.fork(turn.session_id)
    (copy,) = (await database.turns.list(fork.session_id)).turns
    assert copy.last_seq == 1
    assert [event for row in await database.log.read(copy.turn_id) for event in unpack(row)] == events


async def test_a_fork_at_a_turn_of_another_session_is_refused(database: Database) -> None:
    session, other = await _talk(database, "a", "1"), await _talk(database, "b", "2")
    turn = (await database.turns.list(other)).turns[0].turn_id
    with pytest.raises(NotFound, match="no turn"):
        await database.sessions.fork(session, at=turn)


async def test_deleting_removes_turns_messages_log_and_search_hits(database: Database) -> None:
    session = await _talk(database, "unmistakable", "answer")
    (turn,) = (await database.turns.list(session)).turns
    await database.log.append(turn.turn_id, pack([(1, "turn.started", {})]))
    fork = await database.sessions.fork(session)
    await database.sessions.delete(session)
    with pytest.raises(NotFound):
        await database.sessions.get(session)
    with pytest.raises(NotFound):
        await database.turns.get(turn.turn_id)
    assert await database.log.read(turn.turn_id) == ()
    assert {hit.session_id for hit in await database.sessions.search("unmistakable")} == {fork.session_id}
    assert (await database.sessions.get(fork.session_id)).parent_id is None


async def test_a_session_with_a_running_turn_is_not_deleted(database: Database) -> None:
    turn = (await database.turns.start(NewTurn(message="m", skill="s", model="echo"))).turn
    with pytest.raises(SessionBusy) as caught:
        await database.sessions.delete(turn.session_id)
    assert caught.value.data == {"session_id": turn.session_id, "turn_id": turn.turn_id}
    assert (await database.sessions.get(turn.session_id)).turns == 1


async def test_export_writes_every_message(database: Database) -> None:
    session = await _talk(database, "What is 2+2?", "Four.")
    text = await database.sessions.export(session)
    assert text.startswith("# What is 2+2?\n")
    assert "## user" in text
    assert text.endswith("Four.\n")
    value = json.loads(await database.sessions.export(session, "json"))
    assert value["session"]["session_id"] == session
    assert [message["content"] for message in value["messages"]] == ["What is 2+2?", "Four."]
