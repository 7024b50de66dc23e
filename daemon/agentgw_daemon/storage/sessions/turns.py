"""Turns: from the user's message to the final answer, each end of it one commit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal

from agentgw.protocol.calls.turns import PromptHistory, TurnDetail, TurnFailure, TurnList, TurnStartParams
from agentgw.protocol.errors import NotFound
from agentgw.protocol.records.schema import dump, record
from agentgw.protocol.types import Chunk, FinishReason, Options, Role, Timings, Turn, Usage
from agentgw_daemon.storage.columns import number_of, optional, text_of
from agentgw_daemon.storage.deliveries.outbox import NOBODY, EventOutbox
from agentgw_daemon.storage.json_text import to_text
from agentgw_daemon.storage.lookup import find_id
from agentgw_daemon.storage.rows import LIVE, TURN_COLUMNS, from_cursor, to_cursor, turn_of
from agentgw_daemon.storage.sessions.calls import calls_of
from agentgw_daemon.storage.sessions.feedback import rating_of
from agentgw_daemon.storage.sessions.log import LogRow, insert_rows
from agentgw_daemon.storage.sessions.reading import ColumnReader
from agentgw_daemon.storage.sessions.sessions import NewSession, insert_session, refuse_busy
from agentgw_daemon.storage.sessions.steps import StepRows, steps_of, tools_of, write_steps
from agentgw_daemon.storage.sessions.titles import title_of
from agentgw_daemon.system.ids import new_id, now
from agentgw_daemon.text.valid import valid_text

if TYPE_CHECKING:
    from agentgw_daemon.storage.sqlite.connection import Runner
    from agentgw_daemon.storage.sqlite.library import sqlite_utils


@record
class NewTurn:
    """First values of a turn. Without `session_id` (an id, or a unique beginning of one) it starts a session."""

    message: str
    skill: str
    model: str
    session_id: str | None = None
    system: str = ""
    options: Options = Options()
    cwd: str | None = None
    idempotency_key: str | None = None
    state: Literal["queued", "running"] = "queued"
    # As it was asked for, without the texts of message and files; `max_iterations` as it holds for the turn.
    request: TurnStartParams | None = None
    seed: int | None = None
    # The turn that delegates to this one, which starts a session, and by which call.
    delegated_by: str | None = None
    delegated_call: str | None = None
    # It is given text that somebody else may have written.
    tainted: bool = False


@record
class StartedTurn:
    """The stored turn. `created` false: the idempotency key was used before, this is that turn."""

    turn: Turn
    created: bool
    session_created: bool = False


@record
class TurnEnd:
    """End of a turn. `model`: the model that answered, where it is another than the one asked for."""

    state: Literal["completed", "cancelled", "failed"]
    finish_reason: FinishReason | None = None
    text: str = ""
    usage: Usage = Usage()
    timings: Timings = Timings()
    error: str | None = None
    failure: TurnFailure | None = None
    prompt_sha256: str | None = None
    model_sha256: str | None = None
    engine: str | None = None
    model: str | None = None
    sources: tuple[Chunk, ...] = ()
    # Words that the user added while it ran.
    steered: tuple[str, ...] = ()


_DETAILS: Final = (
    "system", "options", "prompt_tokens", "cached_tokens", "completion_tokens", "timings", "model_sha256", "engine",
    "prompt_sha256", "cwd", "seed", "request", "history", "toolset", "sources",
    "failure",
)  # fmt: skip


class TurnStore:
    """The turns in the database. Methods that take a `turn_id` take a unique beginning of one as well."""

    def __init__(self, runner: Runner, outbox: EventOutbox = NOBODY) -> None:
        self._runner = runner
        self._outbox = outbox

    async def start(self, new: NewTurn) -> StartedTurn:
        """Store the message and its turn, with a new session if it names none, in one commit.

        Raises NotFound for the session, SessionBusy while another turn of it lives.
        """
        return await self._runner.write(lambda db: _start(db, new, self._outbox))

    async def set_state(self, turn_id: str, state: Literal["queued", "running", "waiting"]) -> None:
        """Say where a running turn is; one that has ended stays as it is."""

        def do(db: sqlite_utils.Database) -> None:
            found = find_id(db, "turn", turn_id)
            db.execute(f"UPDATE turns SET state = ? WHERE id = ? AND state IN {LIVE}", (state, found))

        await self._runner.write(do)

    async def finish(
        self, turn_id: str, end: TurnEnd, rows: Iterable[LogRow] = (), steps: StepRows | None = None
    ) -> Turn:
        """Store the end of a turn, its answer if there is any text, its last log rows and steps, in one commit.

        A turn that has ended already stays as it is. Shield this call: a cancelled turn has an end to store, too.
        """
        kept = tuple(rows)
        return await self._runner.write(lambda db: _finish(db, turn_id, end, kept, steps, self._outbox))

    async def fail(self, turn_id: str, reason: str) -> None:
        """End a turn whose end cannot be stored as it was: what is stored of it already is all that is kept."""
        sql = f"UPDATE turns SET state = 'failed', finished_at = ?, error = ? WHERE id = ? AND state IN {LIVE}"

        def do(db: sqlite_utils.Database) -> None:
            if db.execute(sql, (now(), valid_text(reason), turn_id)).rowcount:
                self._outbox.turn_ended(db, _read(db, turn_id))

        await self._runner.write(do)

    async def get(self, turn_id: str) -> Turn:
        """One turn."""
        return await self._runner.read(lambda db: _read(db, find_id(db, "turn", turn_id)))

    async def of_key(self, idempotency_key: str) -> Turn | None:
        """The turn that was started under this key."""
        return await self._runner.read(lambda db: _of_key(db, idempotency_key))

    async def latest(self, session_id: str) -> Turn | None:
        """The session's running or last turn, None when it has none. Raises NotFound for the session."""

        def do(db: sqlite_utils.Database) -> Turn | None:
            row = db.execute(
                f"SELECT {TURN_COLUMNS} FROM turns AS t WHERE t.session_id = ? ORDER BY t.n DESC LIMIT 1",
                (find_id(db, "session", session_id),),
            ).fetchone()
            return None if row is None else turn_of(row)

        return await self._runner.read(do)

    async def list(
        self, session_id: str | None = None, running: bool = False, limit: int = 50, before: str | None = None
    ) -> TurnList:
        """A page of turns, newest first; `running`: only those that have not ended."""

        def do(db: sqlite_utils.Database) -> TurnList:
            (below,) = from_cursor(before, int) if before else (2**63 - 1,)
            where, values = ["t.n < ?"], [below]
            if session_id is not None:
                where.append("t.session_id = ?")
                values.append(find_id(db, "session", session_id))
            if running:
                where.append(f"t.state IN {LIVE}")
            found = db.execute(
                f"SELECT {TURN_COLUMNS}, t.n FROM turns AS t WHERE {' AND '.join(where)} ORDER BY t.n DESC LIMIT ?",
                (*values, limit + 1),
            ).fetchall()
            page = found[:limit]
            return TurnList(
                turns=tuple(turn_of(row) for row in page),
                next=to_cursor(page[-1][-1]) if len(found) > limit else None,
            )

        return await self._runner.read(do)

    async def detail(self, turn_id: str) -> TurnDetail:
        """One turn with all that running it again takes."""
        return await self._runner.read(lambda db: read_detail(db, find_id(db, "turn", turn_id)))


def _read(db: sqlite_utils.Database, turn_id: str) -> Turn:
    return turn_of(db.execute(f"SELECT {TURN_COLUMNS} FROM turns AS t WHERE t.id = ?", (turn_id,)).fetchone())


def _of_key(db: sqlite_utils.Database, key: str) -> Turn | None:
    row = db.execute(f"SELECT {TURN_COLUMNS} FROM turns AS t WHERE t.idempotency_key = ?", (key,)).fetchone()
    return None if row is None else turn_of(row)


def _start(db: sqlite_utils.Database, new: NewTurn, outbox: EventOutbox) -> StartedTurn:
    if new.idempotency_key is not None and (known := _of_key(db, new.idempotency_key)) is not None:
        return StartedTurn(turn=known, created=False)
    if new.session_id is None:
        begin = NewSession(
            skill=new.skill, title=title_of(new.message), cwd=new.cwd, delegated_by=new.delegated_by,
            delegated_call=new.delegated_call,
        )  # fmt: skip
        session_id = insert_session(db, begin)
        outbox.session_created(db, session_id)
    else:
        session_id = find_id(db, "session", new.session_id)
        refuse_busy(db, session_id)
    turn_id, at = new_id("t"), now()
    db.execute(
        "INSERT INTO turns (id, session_id, skill, model, state, created_at, cwd, system, options, idempotency_key,"
        " request, seed, tainted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            turn_id,
            session_id,
            new.skill,
            new.model,
            new.state,
            at,
            new.cwd,
            new.system,
            to_text(dump(new.options)),
            new.idempotency_key,
            None if new.request is None else to_text(dump(new.request)),
            new.seed,
            new.tainted,
        ),
    )
    _insert_message(db, session_id, turn_id, "user", new.message, at)
    db.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", (at, session_id))
    turn = Turn(
        turn_id=turn_id, session_id=session_id, skill=new.skill, model=new.model, state=new.state, created_at=at
    )
    outbox.turn_started(db, turn)
    return StartedTurn(turn=turn, created=True, session_created=new.session_id is None)


def _finish(
    db: sqlite_utils.Database,
    turn_id: str,
    end: TurnEnd,
    rows: tuple[LogRow, ...],
    steps: StepRows | None,
    outbox: EventOutbox,
) -> Turn:
    row = db.execute(f"SELECT {TURN_COLUMNS} FROM turns AS t WHERE t.id = ?", (turn_id,)).fetchone()
    if row is None:
        raise NotFound(f"no turn {turn_id}", kind="turn", id=turn_id)
    turn = turn_of(row)
    if turn.finished_at is not None:
        return turn
    insert_rows(db, turn_id, rows)
    if steps is not None:
        write_steps(db, turn_id, steps)
    at = now()
    for text in end.steered:
        _insert_message(db, turn.session_id, turn_id, "user", text, at)
    if end.text:
        _insert_message(db, turn.session_id, turn_id, "assistant", end.text, at)
    db.execute(
        "UPDATE turns SET state = ?, finish_reason = ?, finished_at = ?, error = ?, model = ?,"
        " last_seq = (SELECT coalesce(max(seq + count) - 1, 0) FROM turn_log WHERE turn_id = turns.id),"
        " prompt_tokens = ?, cached_tokens = ?, completion_tokens = ?, timings = ?, prompt_sha256 = ?,"
        " model_sha256 = ?, engine = ?, sources = ?, failure = ? WHERE id = ?",
        (
            end.state,
            end.finish_reason,
            at,
            end.error,
            end.model or turn.model,
            end.usage.prompt_tokens,
            end.usage.cached_tokens,
            end.usage.completion_tokens,
            to_text(dump(end.timings)),
            end.prompt_sha256,
            end.model_sha256,
            end.engine,
            to_text(dump(end.sources)) if end.sources else None,
            None if end.failure is None else to_text(dump(end.failure)),
            turn_id,
        ),
    )
    db.execute("UPDATE sessions SET updated_at = ? WHERE id = ?", (at, turn.session_id))
    ended = _read(db, turn_id)
    outbox.turn_ended(db, ended)
    return ended


def _insert_message(
    db: sqlite_utils.Database, session_id: str, turn_id: str, role: Role, content: str, at: str
) -> None:
    db.execute(
        "INSERT INTO messages (id, session_id, turn_id, role, content, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (new_id("m"), session_id, turn_id, role, content, at),
    )


def read_detail(db: sqlite_utils.Database, turn_id: str, *, strict: bool = False) -> TurnDetail:
    """The turn with exactly this id, which exists. `strict`: raises one of `json_text.BAD` where it cannot be read."""
    reading = ColumnReader(strict=strict)
    kept = dict(
        zip(
            _DETAILS,
            db.execute(f"SELECT {', '.join(_DETAILS)} FROM turns WHERE id = ?", (turn_id,)).fetchone(),
            strict=True,
        )
    )
    contents: dict[str, str] = {}
    for role, content in db.execute("SELECT role, content FROM messages WHERE turn_id = ? ORDER BY n", (turn_id,)):
        # Others of the user's were added while the turn ran.
        contents.setdefault(role, text_of(content))
    asked = reading.record("request", TurnStartParams, kept["request"], TurnStartParams(message=""))
    tools = tools_of(db, kept["toolset"], reading)
    steps = steps_of(db, turn_id, reading)
    return TurnDetail(
        turn=_read(db, turn_id),
        message=contents.get("user", ""),
        text=contents.get("assistant", ""),
        system=text_of(kept["system"]),
        options=reading.record("options", Options, kept["options"], Options()),
        usage=Usage(
            prompt_tokens=number_of(kept["prompt_tokens"]),
            cached_tokens=number_of(kept["cached_tokens"]),
            completion_tokens=number_of(kept["completion_tokens"]),
        ),
        timings=reading.record("timings", Timings, kept["timings"], Timings()),
        model_sha256=optional(text_of, kept["model_sha256"]),
        engine=optional(text_of, kept["engine"]),
        prompt_sha256=optional(text_of, kept["prompt_sha256"]),
        tool_calls=calls_of(db, turn_id, strict=strict),
        sources=reading.records("sources", Chunk, kept["sources"]),
        failure=reading.record("failure", TurnFailure, kept["failure"], None),
        own_system=asked.system is not None,
        files=tuple(file.name for file in asked.files),
        schema=asked.schema,
        cwd=optional(text_of, kept["cwd"]),
        seed=kept["seed"] if isinstance(kept["seed"], int) else None,
        max_iterations=asked.max_iterations,
        tools=tools,
        tools_named=asked.tools is not None or not {tool.name for tool in tools}.isdisjoint(asked.approvals or ()),
        history=reading.record("history", PromptHistory, kept["history"], None),
        steps=steps,
        unreadable=tuple(reading.unreadable) or None,
        rating=rating_of(db, turn_id),
    )
