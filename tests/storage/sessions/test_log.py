from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.errors import NotFound
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.log import LogRow, answer_so_far, pack, unpack
from agentgw_daemon.storage.sessions.turns import NewTurn

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_deltas = st.tuples(
    st.just("turn.delta"), st.fixed_dictionaries({"text": _texts, "channel": st.sampled_from(["answer", "reasoning"])})
)
_others = st.tuples(
    st.sampled_from(["turn.started", "turn.progress", "turn.notice"]),
    st.dictionaries(
        st.sampled_from(["a", "text", "texts", "done"]),
        _texts | st.integers(-(2**63), 2**63 - 1) | st.none(),
        max_size=3,
    ),
)
_events = st.lists(_deltas | _deltas | _others, max_size=40).map(
    lambda events: [(seq, method, params) for seq, (method, params) in enumerate(events, 1)]
)


@given(_events, st.lists(st.integers(0, 40), max_size=4), st.integers(1, 45))
def test_what_is_packed_is_unpacked_from_any_number_on(
    events: list[tuple[int, str, dict[str, Any]]], cuts: list[int], from_seq: int
) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut <= len(events)), len(events)]
    rows = [row for start, end in itertools.pairwise(bounds) for row in pack(events[start:end])]
    replayed = [event for row in rows for event in unpack(row, from_seq)]
    assert replayed == [event for event in events if event[0] >= from_seq]


def _delta(seq: int, text: str, channel: str = "answer") -> tuple[int, str, dict[str, Any]]:
    return seq, "turn.delta", {"text": text, "channel": channel}


def test_consecutive_deltas_of_a_channel_are_one_row() -> None:
    rows = pack([_delta(1, "a"), _delta(2, "b"), _delta(3, "c", "reasoning"), _delta(4, "d")])
    assert [(row.seq, row.count, row.last_seq) for row in rows] == [(1, 2, 2), (3, 1, 3), (4, 1, 4)]
    assert rows[0].payload == '{"channel":"answer","texts":["a","b"]}'


def test_a_hole_in_the_numbers_is_not_papered_over() -> None:
    assert [row.seq for row in pack([_delta(1, "a"), _delta(5, "b")])] == [1, 5]


def test_the_answer_so_far_leaves_reasoning_out() -> None:
    rows = pack([(1, "turn.started", {}), _delta(2, "hm", "reasoning"), _delta(3, "Hel"), _delta(4, "lo")])
    assert answer_so_far(rows) == "Hello"


@pytest.mark.parametrize("payload", ["\x00noise", "[1]", '{"texts": 5, "channel": "answer"}', '{"texts": []}', "{}"])
def test_the_answer_so_far_ends_at_a_row_that_rotted(payload: str) -> None:
    rows = pack([_delta(1, "kept")])
    rotten = LogRow(seq=2, count=1, method="turn.delta", payload=payload)
    assert answer_so_far([*rows, rotten, *pack([_delta(3, "lost")])]) == "kept"


@pytest.mark.anyio
async def test_the_log_is_read_from_the_row_that_holds_the_number(database: Database) -> None:
    turn = (await database.turns.start(NewTurn(message="hi", skill="s", model="echo"))).turn.turn_id
    await database.log.append(turn, pack([(1, "turn.started", {"skill": "s"}), _delta(2, "a"), _delta(3, "b")]))
    await database.log.append(turn, pack([_delta(4, "c")]))
    rows = await database.log.read(turn, 3)
    assert [event for row in rows for event in unpack(row, 3)] == [_delta(3, "b"), _delta(4, "c")]
    assert await database.log.read(turn, 5) == ()


@pytest.mark.anyio
async def test_a_repeated_append_leaves_each_notification_once(database: Database) -> None:
    turn = (await database.turns.start(NewTurn(message="hi", skill="s", model="echo"))).turn.turn_id
    await database.log.append(turn, pack([_delta(1, "a")]))
    await database.log.append(turn, pack([_delta(1, "a"), _delta(2, "b")]))
    assert [event for row in await database.log.read(turn) for event in unpack(row)] == [_delta(1, "a"), _delta(2, "b")]


@pytest.mark.anyio
async def test_appending_to_an_unknown_turn_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await database.log.append("t-unknown", pack([_delta(1, "a")]))
