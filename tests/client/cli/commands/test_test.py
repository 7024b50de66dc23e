from __future__ import annotations

import json
from typing import Any

import pytest

from tests.client.commandline import Cli
from tests.client.fakedaemon import Failure, Serve


def answers(text: str) -> dict[str, Any]:
    return {"turn.start": {"turn_id": "t", "session_id": "s", "text": text, "finish_reason": "stop"}}


@pytest.mark.parametrize(("text", "status"), [('"yes"', 0), ('"no"', 1)])
def test_the_verdict_is_the_exit_status_and_nothing_is_printed(cli: Cli, serve: Serve, text: str, status: int) -> None:
    daemon = serve(answers(text))
    assert cli("test", "is", "it", "red?") == (status, "", "")
    asked = daemon.params("turn.start")
    assert asked["message"] == "is it red?"
    assert asked["schema"] == {"type": "string", "enum": ["yes", "no"]}
    assert (asked["ephemeral"], asked["tools"]) == (True, [])


def test_the_reason_goes_to_standard_error(cli: Cli, serve: Serve) -> None:
    daemon = serve(answers(json.dumps({"reason": "It glows.\nA lot.", "verdict": "yes"})))
    assert cli("test", "--reason", "is it red?") == (0, "", "agentgw: It glows. A lot.\n")
    assert list(daemon.params("turn.start")["schema"]["properties"]) == ["reason", "verdict"]


@pytest.mark.parametrize("text", ["", "yes", '"maybe"', "[]", '{"verdict": 1}', "null"])
def test_what_is_neither_is_undecided(cli: Cli, serve: Serve, text: str) -> None:
    serve(answers(text))
    status, out, err = cli("test", "is it?")
    assert (status, out) == (6, "")
    assert "neither yes nor no" in err


@pytest.mark.parametrize(("code", "status"), [(-32603, 6), (-32013, 6), (-32006, 4), (-32004, 75)])
def test_an_error_is_never_taken_for_a_no(cli: Cli, serve: Serve, code: int, status: int) -> None:
    serve({"turn.start": Failure(code, "no way")})
    assert cli("test", "is it?")[0] == status


def test_without_a_question_it_says_how_to_ask(cli: Cli, serve: Serve) -> None:
    serve(answers('"yes"'))
    status, _, err = cli("test")
    assert status == 2
    assert "QUESTION" in err
