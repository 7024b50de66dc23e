from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.errors import ContextOverflow, DaemonUnreachable
from agentgw.transport import connection as connection_module
from agentgw.transport.connection import Connection, Notification, Response
from agentgw.transport.framing import MAX_MESSAGE_BYTES

STREAM = (
    b'{"jsonrpc":"2.0","method":"turn.delta","params":{"text":"\xc3\xa4\xe2\x82\xac"}}\n'
    b'\r\n{"jsonrpc":"2.0","method":"event"}\r\n'
    b'{"jsonrpc":"2.0","id":1,"result":null}\n'
    b'{"jsonrpc":"2.0","id":2,"error":{"code":-32001,"message":"no"}}\n'
)


def test_a_request_is_one_line_with_a_number_of_its_own() -> None:
    wire = Connection()
    first, line = wire.request("turn.start", {"message": "zwei\nZeilen ä"})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "jsonrpc": "2.0", "id": first, "method": "turn.start", "params": {"message": "zwei\nZeilen ä"},
    }  # fmt: skip
    assert wire.request("ping", [])[0] != first


def test_a_notification_has_no_id() -> None:
    assert "id" not in json.loads(Connection().notification("ping", {}))


def test_a_request_larger_than_a_message_is_refused_with_the_numbers() -> None:
    with pytest.raises(ContextOverflow) as caught:
        Connection().request("turn.start", {"message": "x" * MAX_MESSAGE_BYTES})
    assert caught.value.exit_status == 7
    assert str(MAX_MESSAGE_BYTES) in caught.value.message
    empty = len(Connection().request("turn.start", {"message": ""})[1])
    size = MAX_MESSAGE_BYTES + 1 - empty
    assert len(Connection().request("turn.start", {"message": "x" * size})[1]) == MAX_MESSAGE_BYTES + 1
    with pytest.raises(ContextOverflow):
        Connection().request("turn.start", {"message": "x" * (size + 1)})


@given(st.lists(st.integers(1, 40)))
def test_replies_are_the_same_however_the_bytes_were_cut(sizes: list[int]) -> None:
    wire, rest, messages = Connection(), STREAM, []
    for size in [*sizes, len(STREAM)]:
        messages += wire.receive(rest[:size])
        rest = rest[size:]
    delta, event, result, error = messages
    assert isinstance(delta, Notification)
    assert (delta.method, delta.params) == ("turn.delta", {"text": "ä€"})
    assert isinstance(event, Notification)
    assert (event.method, event.params) == ("event", {})
    assert isinstance(result, Response)
    assert (result.id, result.result, result.error) == (1, None, None)
    assert isinstance(error, Response)
    assert (error.id, error.error) == (2, {"code": -32001, "message": "no"})


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1 400 Bad Request", b"\xff", b"[]", b"1", b"{}", b'{"id":1}', b'{"id":1,"error":"no"}', b"[" * 100_000],
)
def test_what_is_not_json_rpc_is_one_clear_error(line: bytes) -> None:
    with pytest.raises(DaemonUnreachable, match="is not an agentgw daemon"):
        list(Connection().receive(line + b"\n"))


def test_a_reply_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "_MAX_REPLY_BYTES", 1000)
    wire = Connection()
    for _ in range(10):
        assert list(wire.receive(b"x" * 100)) == []
    with pytest.raises(DaemonUnreachable, match="frame too large"):
        list(wire.receive(b"x"))
