"""Ends of a turn: each that is no answer has its exit status, its words, and with --json its object."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.commandline import Cli, Terminal
from tests.client.fakedaemon import Failure, Peer, Serve

RESULT: dict[str, Any] = {"turn_id": "turn1", "session_id": "session1", "text": "", "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("reason", "status", "said"),
    [
        ("iteration_limit", 8, "the limit of steps was reached before there was an answer; --max-iterations N"),
        ("cancelled", 130, "the turn was cancelled"),
    ],
)
@pytest.mark.parametrize("verb", [("run", "-q", "hi"), ("attach", "t-1")])
def test_an_exit_status_has_words_also_when_only_errors_are_wanted(
    cli: Cli, serve: Serve, verb: tuple[str, ...], reason: str, status: int, said: str
) -> None:
    ended = {**RESULT, "finish_reason": reason}
    serve({"turn.start": ended, "turn.attach": ended})
    found, _, err = cli(*verb)
    assert found == status
    assert err.startswith(f"agentgw: {said}")
    assert err.count("\n") == 1


def test_a_denied_tool_is_told(cli: Cli, serve: Serve) -> None:
    def deny(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.notify("turn.tool_result", call_id="c", ok=False, content="no", denied=True)
        peer.delta("well")
        return {**RESULT, "text": "well"}

    serve({"turn.start": deny})
    assert cli("run", "-q", "hi") == (
        5, "well\n", "agentgw: a tool was denied, and the answer came about without it\n"
    )  # fmt: skip


def test_an_answer_that_was_cut_says_so(cli: Cli, serve: Serve) -> None:
    serve({"turn.start": {**RESULT, "text": "once upon a", "finish_reason": "length"}})
    status, out, err = cli("run", "--no-stream", "hi")
    assert (status, out) == (0, "once upon a\n")
    assert err.startswith("agentgw: the answer was cut: ")


@pytest.mark.parametrize("words", [("--json",), ("-o", "max_tokens=3")])
def test_who_set_the_bound_or_reads_the_result_is_not_told(cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
    serve({"turn.start": {**RESULT, "text": "once upon a", "finish_reason": "length"}})
    status, _, err = cli("run", *words, "hi")
    assert (status, err) == (0, "")


@pytest.mark.parametrize("form", ["json", "stream-json"])
@pytest.mark.parametrize("verb", [("run", "hi"), ("attach", "turn1")])
@pytest.mark.parametrize(
    ("code", "data", "status"), [(-32012, {"tool": "x"}, 5), (-32013, {}, 6), (-32005, {}, 7), (-32603, {}, 1)]
)
def test_json_has_the_error_and_the_text_so_far(
    cli: Cli, serve: Serve, verb: tuple[str, ...], code: int, data: dict[str, Any], status: int, form: str
) -> None:
    def fail(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.delta("half an")
        peer.notify("turn.delta", text="hm", channel="reasoning")
        peer.delta(" answer")
        raise Failure(code, "it went wrong", hint="do better", **data)

    serve({"turn.start": fail, "turn.attach": fail})
    found, out, err = cli(verb[0], "--output-format", form, *verb[1:])
    assert (found, err) == (status, "agentgw: it went wrong. do better\n")
    assert json.loads(out.splitlines()[-1]) == {
        "turn_id": "turn1", "session_id": "session1", "text": "half an answer",
        "error": {
            "message": "it went wrong", "exit_status": status, "code": code, "data": data, "hint": "do better",
        },
    }  # fmt: skip


def test_json_has_errors_of_this_side_too(cli: Cli, serve: Serve) -> None:
    serve({"turn.start": RESULT})
    status, out, err = cli("run", "--json", "-f", "/nowhere", "hi")
    assert (status, err) == (2, "agentgw: /nowhere cannot be read: No such file or directory. see agentgw run --help\n")
    assert json.loads(out) == {
        "error": {
            "message": "/nowhere cannot be read: No such file or directory", "exit_status": 2,
            "hint": "see agentgw run --help",
        },
        "text": "",
    }  # fmt: skip


def test_a_time_limit_goes_along_with_a_detached_turn(cli: Cli, serve: Serve) -> None:
    daemon = serve({"turn.start": RESULT})
    cli("run", "--detach", "--timeout", "60", "hi")
    assert 30 < daemon.params("turn.start")["timeout_s"] <= 60
    # Whoever waits ends the turn as ever.
    cli("run", "--timeout", "60", "hi")
    assert "timeout_s" not in daemon.params("turn.start")


LONG = "A sentence of some words. \n\n- an item that is long enough\n\n```\nprint('not broken, for it is code')\n```"
BROKEN = """A sentence of some words.

- an item that is long
  enough

```
print('not broken, for it is code')
```
"""


def say_long(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    for at in range(0, len(LONG), 5):
        peer.delta(LONG[at : at + 5])
    return {**RESULT, "text": LONG}


@pytest.mark.parametrize("words", [("run", "hi"), ("run", "--no-stream", "hi"), ("attach", "turn1")])
def test_a_terminal_gets_lines_that_end_between_words(
    terminal: Callable[..., Terminal], serve: Serve, words: tuple[str, ...]
) -> None:
    serve({"turn.start": say_long, "turn.attach": say_long})
    shown = terminal(*words, columns=26)
    assert shown.end() == 0
    # The blank before a line's end is as the model wrote it.
    assert shown.text.replace(" \n", "\n") == BROKEN


@pytest.mark.parametrize("words", [("run", "hi"), ("run", "--no-stream", "hi")])
def test_a_pipe_gets_the_lines_as_they_are(cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
    serve({"turn.start": say_long})
    assert cli(*words)[1] == f"{LONG}\n"


def test_what_is_data_is_not_broken_on_a_terminal(terminal: Callable[..., Terminal], serve: Serve) -> None:
    data = '{"name": "a text that is longer than a line of it"}'
    serve({"turn.start": {**RESULT, "text": data}})
    for words in (("--schema", "name"), ("-x",)):
        shown = terminal("run", *words, "hi", columns=26)
        assert (shown.end(), shown.text) == (0, f"{data}\n")


def test_a_call_is_told_on_a_line_of_its_own(terminal: Callable[..., Terminal], serve: Serve) -> None:
    def call(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.delta("Let me look")
        peer.notify("turn.tool_call", call_id="c", tool="read_file", arguments={"path": "a"})
        peer.delta("It is empty.")
        return {**RESULT, "text": "It is empty."}

    serve({"turn.start": call})
    shown = terminal("run", "hi")
    assert (shown.end(), shown.text) == (0, "Let me look\nagentgw: read_file(path='a')\nIt is empty.\n")


def test_what_to_do_begins_a_line_where_an_error_takes_several(terminal: Callable[..., Terminal], serve: Serve) -> None:
    serve({"turn.start": Failure(-32006, "there is no model yet", hint="run `agentgw pull smollm2:135m`")})
    shown = terminal("run", "hi", columns=40)
    assert shown.end() == 4
    assert shown.text == "agentgw: there is no model yet.\n  run `agentgw pull smollm2:135m`\n"
