from __future__ import annotations

import dataclasses
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.tuning import Measurement, Tuning
from agentgw_daemon.workers.protocol import model as wire
from agentgw_daemon.workers.protocol.lines import WireError

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_NUMBER = st.integers(-(2**31), 2**53)
_VALUES = {
    "int": _NUMBER,
    "int | None": st.none() | st.integers(0, 2**32),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "str": _TEXT,
    "tuple[str, ...]": st.lists(_TEXT).map(tuple),
    "tuple[dict[str, str], ...]": st.lists(st.dictionaries(_TEXT, _TEXT)).map(tuple),
    "Tuning": st.builds(Tuning, attention=_TEXT, threads=_NUMBER, threads_batch=_NUMBER, batch_tokens=_NUMBER),
    "tuple[Measurement, ...]": st.lists(
        st.builds(
            Measurement,
            attention=_TEXT,
            threads=_NUMBER,
            batch_tokens=_NUMBER,
            streams=_NUMBER,
            tokens_per_s=st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=3,
    ).map(tuple),
    "tuple[dict[str, Any], ...]": st.lists(st.dictionaries(_TEXT, _JSON, max_size=3), max_size=3).map(tuple),
    "dict[str, int]": st.dictionaries(_TEXT, st.integers(0, 2**40)),
}
_MESSAGES = st.one_of(
    [
        st.builds(kind, **{field.name: _VALUES[str(field.type)] for field in dataclasses.fields(kind)})
        for kind in get_args(wire.ModelWireMessage)
    ]
)


@given(_MESSAGES)
def test_every_message_arrives_as_it_was_sent_in_one_line(message: wire.ModelWireMessage) -> None:
    line = wire.encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert wire.decode(line) == message


def test_a_lone_surrogate_leaves_as_a_question_mark() -> None:
    assert wire.decode(wire.encode(wire.GenerationDelta(request_id=1, texts=("a\ud800b",)))) == wire.GenerationDelta(
        request_id=1, texts=("a?b",)
    )


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"hello", b"\xff", b"{}", b"[]", b"1", b"[1,2]", b'["Delta"]', b'["Delta",[]]', b'["Delta",{}]',
        b'["Nothing",{}]', b'[["Delta"],{}]', b'["Cancel",{"request_id":1,"more":2}]', b"[" * 100_000,
        b'["Heartbeat",7]', b'["Heartbeat",null]', b"9" * 5000,
        b'["Load",{"path":"/m","tuning":7}]', b'["Load",{"path":"/m","tuning":{"threads":1}}]',
        b'["Load",{"path":"/m","tuning":{"attention":"auto","threads":1,"threads_batch":1,"batch_tokens":1,"more":1}}]',
        b'["Calibrated",{"tuning":null,"measured":[]}]', b'["Calibrated",{"measured":7}]',
    ],
)  # fmt: skip
def test_a_line_that_is_no_message_is_a_wire_error(line: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(line)
