"""Questions about tool calls, their answers, and the rules that `always` made."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from agentgw.protocol.errors import NotFound
from agentgw.protocol.records.schema import dump, record
from agentgw.protocol.types import Approval, ApprovalRule, Decision
from agentgw_daemon.storage.columns import optional, text_of, word_of
from agentgw_daemon.storage.json_text import arguments_of, read_or, repaired, to_text
from agentgw_daemon.storage.rows import LIVE
from agentgw_daemon.storage.sessions.resumption import rest, stir
from agentgw_daemon.system.ids import new_id, now

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils

ApprovalOutcome = Decision | Literal["expired"]
_SETTLED: Final[tuple[ApprovalOutcome, ...]] = (*get_args(Decision), "expired")

_COLUMNS: Final = (
    "id, turn_id, session_id, tool, arguments, cwd, title, details, diff, asked_at, expires_at, call_id, digest,"
    " outbound, decision"
)
_RULE_COLUMNS: Final = "id, tool, arguments, cwd, created_at"


@record
class StoredApproval:
    """A question as it is stored; `decision` None: it is open."""

    approval: Approval
    call_id: str
    digest: str
    outbound: bool = False
    decision: ApprovalOutcome | None = None


class Approvals:
    """The questions and rules in the database."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def add(self, new: StoredApproval) -> None:
        """Store a question, in place of an earlier one of the same turn and call id; its turn is waiting from now on.

        Raises NotFound when the turn is not stored.
        """
        await self._runner.write(lambda db: _insert(db, new))

    async def of_call(self, turn_id: str, call_id: str) -> StoredApproval | None:
        """The stored approval of this call; nothing once the call used it up."""

        def do(db: sqlite_utils.Database) -> StoredApproval | None:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM approvals WHERE turn_id = ? AND call_id = ? AND decision IS NOT 'used'",
                (turn_id, call_id),
            ).fetchone()
            return None if row is None else _stored_of(row)

        return await self._runner.read(do)

    async def open_of(self, turn_id: str) -> tuple[StoredApproval, ...]:
        """The questions of this turn that nobody has answered, the oldest first."""

        def do(db: sqlite_utils.Database) -> tuple[StoredApproval, ...]:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM approvals WHERE turn_id = ? AND decision IS NULL ORDER BY asked_at, id",
                (turn_id,),
            )
            return tuple(map(_stored_of, found.fetchall()))

        return await self._runner.read(do)

    async def settle(self, stored: StoredApproval, decision: ApprovalOutcome) -> None:
        """Store what was decided, and with `allow_always` the rule, in one commit.

        A question that is not stored, for its turn is not, leaves a rule at most. One that is decided stays so.
        """

        def do(db: sqlite_utils.Database) -> None:
            db.execute(
                "UPDATE approvals SET decision = ?, decided_at = ? WHERE id = ? AND decision IS NULL",
                (decision, now(), stored.approval.approval_id),
            )
            if decision == "allow_always":
                _insert_rule(db, stored)
            if stored.approval.turn_id is not None:
                stir(db, stored.approval.turn_id)

        await self._runner.write(do)

    async def wait_again(self, turn_id: str) -> None:
        """A turn that was taken up is back at its question."""
        await self._runner.write(lambda db: _wait(db, turn_id))

    async def grants(self, session_id: str) -> frozenset[str]:
        """Digests of the calls that were allowed for the session."""

        def do(db: sqlite_utils.Database) -> frozenset[str]:
            found = db.execute(
                "SELECT digest FROM approvals WHERE session_id = ? AND decision = 'allow_session'", (session_id,)
            )
            return frozenset(str(row[0]) for row in found)

        return await self._runner.read(do)

    async def rule_digests(self) -> frozenset[str]:
        """Digests of the calls that are always allowed."""

        def do(db: sqlite_utils.Database) -> frozenset[str]:
            return frozenset(str(row[0]) for row in db.execute("SELECT digest FROM approval_rules"))

        return await self._runner.read(do)

    async def rules(self) -> tuple[ApprovalRule, ...]:
        """The rules that always allow a call, the oldest first."""

        def do(db: sqlite_utils.Database) -> tuple[ApprovalRule, ...]:
            found = db.execute(f"SELECT {_RULE_COLUMNS} FROM approval_rules ORDER BY created_at, id")
            return tuple(_rule_of(row) for row in found)

        return await self._runner.read(do)

    async def revoke(self, rule_id: str) -> None:
        """Ask about that call again. Raises NotFound."""

        def do(db: sqlite_utils.Database) -> None:
            if db.execute("DELETE FROM approval_rules WHERE id = ?", (rule_id,)).rowcount == 0:
                raise NotFound(
                    f"no approval rule {rule_id}", hint="`agentgw approvals rules` lists them", kind="rule", id=rule_id
                )

        await self._runner.write(do)


def use_up(db: sqlite_utils.Database, turn_id: str, call_id: str) -> None:
    """Note that the call begins, in the same transaction that stores its beginning.

    So a yes for once lets one call begin, wherever the process is killed: before the commit the yes is still there and
    nothing ran, after it a call of the same id is asked about again. Other answers stay.
    """
    db.execute(
        "UPDATE approvals SET decision = 'used' WHERE turn_id = ? AND call_id = ? AND decision = 'allow_once'",
        (turn_id, call_id),
    )


def _insert(db: sqlite_utils.Database, new: StoredApproval) -> None:
    one = new.approval
    db.execute("DELETE FROM approvals WHERE turn_id = ? AND call_id = ?", (one.turn_id, new.call_id))
    try:
        db.execute(
            f"INSERT INTO approvals ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                one.approval_id, one.turn_id, one.session_id, one.tool, _json(one.arguments), one.cwd, one.title or "",
                _json(one.details or ()), one.diff, one.asked_at, one.expires_at, new.call_id, new.digest,
                new.outbound, new.decision,
            ),
        )  # fmt: skip
    except sqlite3.IntegrityError:
        raise NotFound(f"no turn {one.turn_id}", kind="turn", id=one.turn_id or "") from None
    _wait(db, one.turn_id or "")


def _wait(db: sqlite_utils.Database, turn_id: str) -> None:
    db.execute(f"UPDATE turns SET state = 'waiting' WHERE id = ? AND state IN {LIVE}", (turn_id,))
    rest(db, turn_id)


def _insert_rule(db: sqlite_utils.Database, stored: StoredApproval) -> None:
    one = stored.approval
    db.execute(
        "INSERT OR IGNORE INTO approval_rules (id, tool, arguments, cwd, digest, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (new_id("r"), one.tool, _json(one.arguments), one.cwd, stored.digest, now()),
    )


def _stored_of(row: Sequence[Any]) -> StoredApproval:
    approval = Approval(
        approval_id=text_of(row[0]), turn_id=text_of(row[1]), session_id=text_of(row[2]), tool=text_of(row[3]),
        arguments=arguments_of(row[4]), cwd=text_of(row[5]), title=text_of(row[6]) or None,
        details=_details_of(row[7]), diff=optional(text_of, row[8]), asked_at=text_of(row[9]),
        expires_at=text_of(row[10]),
    )  # fmt: skip
    return StoredApproval(
        approval=approval, call_id=text_of(row[11]), digest=text_of(row[12]), outbound=bool(row[13]),
        # What is no answer that there is was no yes.
        decision=None if row[14] is None else word_of(row[14], _SETTLED, "deny"),
    )  # fmt: skip


def _rule_of(row: Sequence[Any]) -> ApprovalRule:
    return ApprovalRule(
        rule_id=text_of(row[0]), tool=text_of(row[1]), arguments=arguments_of(row[2]), cwd=text_of(row[3]),
        created_at=text_of(row[4]),
    )  # fmt: skip


def _details_of(text: object) -> tuple[str, ...] | None:
    found: list[object] = read_or([], lambda: list(repaired(text)))
    return tuple(map(text_of, found)) or None


def _json(value: Mapping[str, Any] | tuple[str, ...]) -> str:
    return to_text(dump(value))
