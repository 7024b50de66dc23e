from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentgw.protocol.errors import NotFound
from agentgw.protocol.types import Approval
from agentgw_daemon.observability import failpoint
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sessions.approvals import ApprovalOutcome, Approvals, StoredApproval, use_up
from agentgw_daemon.storage.sessions.turns import NewTurn, TurnEnd
from agentgw_daemon.storage.sqlite.library import sqlite_utils
from tests.storage.direct import Direct, run

pytestmark = pytest.mark.anyio


async def question(database: Database, call_id: str = "c1", digest: str = "d", **fields: object) -> StoredApproval:
    """A question of a new turn, not stored yet."""
    started = await database.turns.start(NewTurn(message="m", skill="s", model="echo"))
    approval = Approval(
        approval_id=f"a-{started.turn.turn_id}", tool="write_file", arguments={"path": "é\x1b"}, cwd="/home/u",
        turn_id=started.turn.turn_id, session_id=started.turn.session_id, asked_at="2026-01-01T00:00:00.000Z",
        expires_at="2026-01-01T00:02:00.000Z", title="write é", details=("one", "two"), diff="--- a\n+++ b\n",
    )  # fmt: skip
    return StoredApproval(approval=replace(approval, **fields), call_id=call_id, digest=digest, outbound=True)  # type: ignore[arg-type]


async def test_a_question_comes_back_as_it_was(database: Database) -> None:
    stored = await question(database)
    await database.approvals.add(stored)
    assert await database.approvals.of_call(stored.approval.turn_id or "", "c1") == stored
    assert await database.approvals.of_call(stored.approval.turn_id or "", "c2") is None


async def test_a_decision_is_kept_and_the_first_one_stays(database: Database, data: Path) -> None:
    stored = await question(database)
    await database.approvals.add(stored)
    await database.approvals.settle(stored, "deny")
    await database.approvals.settle(stored, "allow_once")
    found = await database.approvals.of_call(stored.approval.turn_id or "", "c1")
    assert found is not None
    assert found.decision == "deny"


async def test_a_question_of_the_same_call_takes_the_place_of_the_earlier(database: Database) -> None:
    stored = await question(database)
    await database.approvals.add(stored)
    await database.approvals.settle(stored, "allow_session")
    other = replace(stored, approval=replace(stored.approval, approval_id="a-2"), digest="other")
    await database.approvals.add(other)
    assert await database.approvals.of_call(stored.approval.turn_id or "", "c1") == other
    assert await database.approvals.grants(stored.approval.session_id or "") == frozenset()


async def test_a_grant_is_its_sessions_alone(database: Database) -> None:
    mine, theirs = await question(database, digest="mine"), await question(database, digest="theirs")
    for stored in (mine, theirs):
        await database.approvals.add(stored)
        await database.approvals.settle(stored, "allow_session")
    assert await database.approvals.grants(mine.approval.session_id or "") == {"mine"}
    assert await database.approvals.rule_digests() == frozenset()


async def test_an_always_makes_one_rule_that_can_be_revoked(database: Database) -> None:
    for _ in range(2):
        stored = await question(database)
        await database.approvals.add(stored)
        await database.approvals.settle(stored, "allow_always")
    (rule,) = await database.approvals.rules()
    assert (rule.tool, rule.arguments, rule.cwd) == ("write_file", {"path": "é\x1b"}, "/home/u")
    assert await database.approvals.rule_digests() == {"d"}
    await database.approvals.revoke(rule.rule_id)
    assert await database.approvals.rules() == ()
    with pytest.raises(NotFound, match="approval rule"):
        await database.approvals.revoke(rule.rule_id)


async def test_deleting_a_session_deletes_its_questions_and_keeps_rules(database: Database) -> None:
    stored = await question(database)
    await database.approvals.add(stored)
    await database.approvals.settle(stored, "allow_always")
    await database.turns.finish(stored.approval.turn_id or "", TurnEnd(state="completed"))
    await database.sessions.delete(stored.approval.session_id or "")
    assert await database.approvals.of_call(stored.approval.turn_id or "", "c1") is None
    assert await database.approvals.rule_digests() == {"d"}


async def test_a_question_of_no_stored_turn_is_refused(database: Database) -> None:
    stored = await question(database, turn_id="t-none")
    with pytest.raises(NotFound):
        await database.approvals.add(stored)


@pytest.mark.parametrize(
    ("point", "began"), [("after-begin", False), ("before-commit", False), ("after-commit", True), (None, True)]
)
def test_a_yes_for_once_is_used_up_exactly_when_its_call_is_stored_as_begun(
    tmp_path: Path, point: str | None, began: bool
) -> None:
    store = DatabaseFiles(tmp_path, "WAL")
    store.open()
    direct = Direct(store)
    turn = run(direct.turns.start(NewTurn(message="m", skill="s", model="echo"))).turn
    stored = StoredApproval(
        approval=Approval(
            approval_id="a-1", tool="ls", arguments={}, cwd="/", turn_id=turn.turn_id, session_id=turn.session_id,
            asked_at="2026-01-01T00:00:00.000Z", expires_at="2026-01-01T00:02:00.000Z",
        ),
        call_id="c1", digest="d",
    )  # fmt: skip
    run(Approvals(direct).add(stored))
    run(Approvals(direct).settle(stored, "allow_once"))

    def begin(db: sqlite_utils.Database) -> None:
        use_up(db, turn.turn_id, "c1")
        db.execute("UPDATE turns SET engine = 'the call began' WHERE id = ?", (turn.turn_id,))

    failpoint.arm(f"{point}:1:raise" if point else "")
    try:
        store.write(begin)
    except failpoint.FailpointReached:
        assert point is not None
    finally:
        failpoint.arm("")
    store.close()
    store = DatabaseFiles(tmp_path, "WAL")
    store.open()
    found = run(Approvals(Direct(store)).of_call(turn.turn_id, "c1"))
    engine = store.read(lambda db: db.execute("SELECT engine FROM turns").fetchone()[0])
    assert (engine == "the call began") is began
    assert (found is None) is began
    store.close()


@pytest.mark.parametrize("decision", ["allow_session", "allow_always", "deny", "expired"])
async def test_other_answers_are_not_used_up(database: Database, decision: ApprovalOutcome) -> None:
    stored = await question(database)
    await database.approvals.add(stored)
    await database.approvals.settle(stored, decision)
    turn_id = stored.approval.turn_id or ""
    await database.approvals._runner.write(lambda db: use_up(db, turn_id, "c1"))
    found = await database.approvals.of_call(turn_id, "c1")
    assert found is not None
    assert found.decision == decision
    assert await database.approvals.grants(stored.approval.session_id or "") == (
        {"d"} if "session" in decision else set()
    )
