"""Frames to calls: JSON-RPC 2.0's own rules, entry by entry."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol import errors
from agentgw.protocol.calls.daemon import HelloParams
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.methods import METHODS
from agentgw_daemon.server.calls.dispatch import NOTIFICATION, Refused, error_response, read_call, result_response


def refused(entry: Any) -> dict[str, Any] | None:
    with pytest.raises(Refused) as caught:
        read_call(entry)
    return caught.value.response


def test_a_request_becomes_a_call_with_bound_parameters() -> None:
    call = read_call(
        {"jsonrpc": "2.0", "id": "x", "method": "hello", "params": {"client": "c", "version": "1", "protocol": 1}}
    )
    assert call.id == "x"
    assert call.row is METHODS["hello"]
    assert call.params == HelloParams(client="c", version="1", protocol=1)


def test_parameters_by_position_follow_the_table() -> None:
    call = read_call({"jsonrpc": "2.0", "id": 1, "method": "hello", "params": ["c", "1", 1]})
    assert call.params == HelloParams(client="c", version="1", protocol=1)


@pytest.mark.parametrize("extra", [{}, {"params": []}, {"params": {}}])
def test_a_notification_is_a_call_without_an_id(extra: dict[str, Any]) -> None:
    call = read_call({"jsonrpc": "2.0", "method": "ping", **extra})
    assert call.id is NOTIFICATION
    assert call.params == NoParams()


def test_an_id_of_null_is_an_id() -> None:
    assert read_call({"jsonrpc": "2.0", "id": None, "method": "ping"}).id is None


@pytest.mark.parametrize("request_id", ["", "a", 0, -7, 1.5, None])
def test_ids_come_back_as_they_were(request_id: Any) -> None:
    assert read_call({"jsonrpc": "2.0", "id": request_id, "method": "ping"}).id == request_id


@pytest.mark.parametrize(
    "entry",
    [
        1, "x", None, True, [],
        {},
        {"method": "ping", "id": 1},
        {"jsonrpc": "1.0", "method": "ping", "id": 1},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "method": 1, "params": "bar"},
        {"jsonrpc": "2.0", "method": "ping", "params": "bar", "id": 1},
        {"jsonrpc": "2.0", "method": "ping", "params": None, "id": 1},
        {"jsonrpc": "2.0", "method": "ping", "id": True},
        {"jsonrpc": "2.0", "method": "ping", "id": {}},
        {"jsonrpc": "2.0", "method": "ping", "id": []},
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_without_an_id(entry: Any) -> None:
    response = refused(entry)
    assert response is not None
    assert response["id"] is None
    assert response["error"]["code"] == errors.InvalidRequest.code


def test_an_unknown_method_is_named() -> None:
    response = refused({"jsonrpc": "2.0", "id": 5, "method": "nope"})
    assert response is not None
    assert response["id"] == 5
    assert response["error"]["code"] == errors.MethodNotFound.code
    assert response["error"]["data"]["method"] == "nope"


def test_an_unknown_method_as_a_notification_is_silence() -> None:
    assert refused({"jsonrpc": "2.0", "method": "nope"}) is None


def test_bad_parameters_name_the_path() -> None:
    response = refused({"jsonrpc": "2.0", "id": 1, "method": "turn.start", "params": {"message": "x", "options": 3}})
    assert response is not None
    assert response["error"]["code"] == errors.InvalidParams.code
    assert response["error"]["data"]["path"] == "options"


def test_bad_parameters_of_a_notification_are_silence() -> None:
    assert refused({"jsonrpc": "2.0", "method": "turn.start", "params": {}}) is None


def test_responses_carry_the_id() -> None:
    assert result_response(3, "pong") == {"jsonrpc": "2.0", "result": "pong", "id": 3}
    made = error_response(4, errors.NotFound("no", hint="look", kind="turn", id="t"))
    assert made["id"] == 4
    assert made["error"] == {"code": -32001, "message": "no", "data": {"kind": "turn", "id": "t", "hint": "look"}}
