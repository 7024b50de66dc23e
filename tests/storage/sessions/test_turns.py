from __future__ import annotations

import pytest
import trio

from agentgw.protocol.errors import NotFound, SessionBusy
from agentgw.protocol.types import Options, Timings, Usage
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.log import pack
from agentgw_daemon.storage.sessions.turns import NewTurn, StartedTurn, TurnEnd

pytestmark = pytest.mark.anyio

_DONE = TurnEnd(state="completed", finish_reason="stop", text="answer")


def _new(message: str = "hello", **fields: object) -> NewTurn:
    return NewTurn(message=message, skill="general-assistant", model="echo", **fields)  # type: ignore[arg-type]  # fields are those of NewTurn


async def test_starting_makes_session_turn_and_message_at_once(database: Database) -> None:
    started = await database.turns.start(_new("What is the time?", cwd="/home"))
    assert started.created
    assert started.session_created
    assert started.turn.state == "queued"
    session = await database.sessions.get(started.turn.session_id)
    assert (session.title, session.cwd, session.turns) == ("What is the time?", "/home", 1)
    (message,) = (await database.sessions.messages(session.session_id)).messages
    assert (message.role, message.content, message.turn_id) == ("user", "What is the time?", started.turn.turn_id)
    assert await database.turns.get(started.turn.turn_id) == started.turn


async def test_a_turn_goes_on_in_a_session_named_by_its_beginning(database: Database) -> None:
    first = (await database.turns.start(_new())).turn
    await database.turns.finish(first.turn_id, _DONE)
    second = await database.turns.start(_new("more", session_id=first.session_id[:8], state="running"))
    assert (await database.turns.get(second.turn.turn_id)).state == second.turn.state == "running"
    assert second.turn.session_id == first.session_id
    assert not second.session_created


async def test_a_turn_in_an_unknown_session_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(NotFound):
        await database.turns.start(_new(session_id="s-unknown"))
    assert (await database.statistics()).turns == 0


async def test_a_session_takes_one_turn_at_a_time(database: Database) -> None:
    first = (await database.turns.start(_new())).turn
    with pytest.raises(SessionBusy) as caught:
        await database.turns.start(_new(session_id=first.session_id))
    assert caught.value.data["turn_id"] == first.turn_id
    await database.turns.finish(first.turn_id, _DONE)
    assert (await database.turns.start(_new(session_id=first.session_id))).created


async def test_an_idempotency_key_never_runs_twice_however_many_ask_at_once(database: Database) -> None:
    results: list[StartedTurn] = []

    async def start() -> None:
        results.append(await database.turns.start(_new(idempotency_key="once")))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(start)
    assert [result.created for result in results].count(True) == 1
    assert len({result.turn.turn_id for result in results}) == 1
    assert (await database.statistics()).turns == 1
    # The session of the key's turn is busy with that very turn: still the same answer, not SessionBusy.
    again = await database.turns.start(_new(idempotency_key="once", session_id=results[0].turn.session_id))
    assert not again.created


async def test_a_used_key_gives_the_turn_as_it_ended(database: Database) -> None:
    turn = (await database.turns.start(_new(idempotency_key="k"))).turn
    await database.turns.finish(turn.turn_id, _DONE)
    assert (await database.turns.start(_new(idempotency_key="k"))).turn.state == "completed"


async def test_finishing_stores_answer_log_and_figures(database: Database) -> None:
    turn = (await database.turns.start(_new(system="Be brief.", options=Options(seed=7, stop=("X",))))).turn
    end = TurnEnd(
        state="completed",
        finish_reason="length",
        text="It is",
        usage=Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=2),
        timings=Timings(first_token_ms=12.5, decode_tokens_per_s=60.0),
        prompt_sha256="p",
        model_sha256="m",
        engine="llama.cpp",
        model="smollm2:135m",
    )
    rows = pack([(1, "turn.started", {}), (2, "turn.delta", {"text": "It is", "channel": "answer"})])
    ended = await database.turns.finish(turn.turn_id, end, rows)
    assert (ended.state, ended.finish_reason, ended.last_seq, ended.model) == ("completed", "length", 2, "smollm2:135m")
    assert ended.finished_at is not None
    detail = await database.turns.detail(turn.turn_id)
    assert detail.turn == ended
    assert (detail.message, detail.text, detail.system) == ("hello", "It is", "Be brief.")
    assert detail.options == Options(seed=7, stop=("X",))
    assert (detail.usage, detail.timings) == (end.usage, end.timings)
    assert (detail.prompt_sha256, detail.model_sha256, detail.engine) == ("p", "m", "llama.cpp")
    assert (await database.sessions.get(turn.session_id)).updated_at == ended.finished_at


async def test_a_turn_without_text_gets_no_message(database: Database) -> None:
    turn = (await database.turns.start(_new())).turn
    ended = await database.turns.finish(turn.turn_id, TurnEnd(state="failed", error="worker died"))
    assert ended.error == "worker died"
    assert len((await database.sessions.messages(turn.session_id)).messages) == 1


async def test_a_second_end_changes_nothing(database: Database) -> None:
    turn = (await database.turns.start(_new())).turn
    first = await database.turns.finish(turn.turn_id, _DONE)
    assert await database.turns.finish(turn.turn_id, TurnEnd(state="failed", text="other")) == first
    assert len((await database.sessions.messages(turn.session_id)).messages) == 2
    await database.turns.set_state(turn.turn_id, "running")
    assert (await database.turns.get(turn.turn_id)).state == "completed"


async def test_an_unknown_turn_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await database.turns.get("t-unknown")
    with pytest.raises(NotFound):
        await database.turns.set_state("t-unknown", "running")
    with pytest.raises(NotFound):
        await database.turns.finish("t-unknown", _DONE)
    with pytest.raises(NotFound):
        await database.turns.detail("t-unknown")


async def test_turns_are_listed_newest_first_and_page_by_page(database: Database) -> None:
    made = []
    for n in range(5):
        turn = (await database.turns.start(_new(f"m{n}"))).turn
        made.append(turn.turn_id)
        if n < 3:
            await database.turns.finish(turn.turn_id, _DONE)
    await database.turns.set_state(made[4], "running")
    found, before = [], None
    for _ in range(3):
        page = await database.turns.list(limit=2, before=before)
        found += [turn.turn_id for turn in page.turns]
        before = page.next
    assert found == made[::-1]
    assert before is None
    running = (await database.turns.list(running=True)).turns
    assert [(turn.turn_id, turn.state) for turn in running] == [(made[4], "running"), (made[3], "queued")]
    session = (await database.turns.get(made[0])).session_id
    assert [turn.turn_id for turn in (await database.turns.list(session)).turns] == [made[0]]


async def test_the_latest_turn_of_a_session_is_known(database: Database) -> None:
    first = (await database.turns.start(_new())).turn
    await database.turns.finish(first.turn_id, _DONE)
    second = (await database.turns.start(_new(session_id=first.session_id))).turn
    assert await database.turns.latest(first.session_id) == second
    empty = await database.sessions.create("s")
    assert await database.turns.latest(empty.session_id) is None
