"""Errors as HTTP answers."""

from __future__ import annotations

import json

import pytest

from agentgw.protocol import errors as e
from agentgw_daemon.gateway.http.refusal import STATUS_OF, HttpRefused, error_answer, refused_answer
from agentgw_daemon.text.secrets import Secrets


class OwnNotFound(e.NotFound):
    """A kind of one of the table's errors."""


def test_every_error_has_a_status() -> None:
    assert set(STATUS_OF) == set(e.RPC_ERRORS)


def test_only_refusals_speak_of_keys_hosts_and_origins() -> None:
    assert not {401, 403} & set(STATUS_OF.values())


@pytest.mark.parametrize("kind", e.RPC_ERRORS)
def test_an_error_keeps_its_code_message_hint_and_data(kind: type[e.RpcError]) -> None:
    answer = error_answer(kind("what", hint="do", id="x"), Secrets())
    assert answer.status == STATUS_OF[kind]
    error = json.loads(answer.body)["error"]
    assert error == {"code": kind.code, "name": kind.__name__, "message": "what", "hint": "do", "data": {"id": "x"}}


def test_only_what_passes_by_itself_is_to_be_tried_again() -> None:
    told = {kind for kind in e.RPC_ERRORS if dict(error_answer(kind(), Secrets()).headers).get("retry-after")}
    assert told == {e.Overloaded, e.ShuttingDown}


def test_a_kind_of_an_error_is_answered_as_what_it_is_a_kind_of() -> None:
    answer = error_answer(OwnNotFound("what"), Secrets())
    assert (answer.status, json.loads(answer.body)["error"]["name"]) == (404, "NotFound")


def test_a_refusal_has_its_status_as_its_code() -> None:
    answer = refused_answer(HttpRefused(405, "MethodNotAllowed", "no", headers=(("allow", "GET"),)))
    assert (answer.status, answer.headers) == (405, (("allow", "GET"),))
    assert json.loads(answer.body)["error"] == {"code": 405, "name": "MethodNotAllowed", "message": "no"}
