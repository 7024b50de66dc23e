from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli.asking.proposal import command_in
from agentgw.protocol.errors import AgentgwError
from tests.client.commandline import Cli, Run, Terminal
from tests.client.fakedaemon import Peer, Serve


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        ("ls -l", "ls -l"),
        ("\n ls -l \n", "ls -l"),
        ("$ ls -l", "ls -l"),
        ("`ls -l`", "ls -l"),
        ("ls -l\n```", "ls -l"),
        ("```sh\nls -l", "ls -l"),
        ("`a` and `b`", "`a` and `b`"),
        ("Use this:\n```sh\nls | wc -l\n```\nIt counts.", "ls | wc -l"),
        ("```\nfor f in *; do\n\techo $f\ndone\n```", "for f in *; do\n\techo $f\ndone"),
    ],
)
def test_the_command_is_found_in_what_the_model_says_around_it(answer: str, command: str) -> None:
    assert command_in(answer) == command


@pytest.mark.parametrize("answer", ["", " \n", "``", "```\n```", "$ "])
def test_no_command_is_an_error(answer: str) -> None:
    with pytest.raises(AgentgwError, match="no command"):
        command_in(answer)


Terminals = Callable[..., Terminal]


def says(*answers: str, finish_reason: str = "stop") -> dict[str, Any]:
    left = list(answers)

    def answer(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        return {"turn_id": "t", "session_id": "s", "text": left.pop(0), "finish_reason": finish_reason}

    return {"turn.start": answer}


def test_a_pipe_gets_the_command_and_nothing_is_run(agentgw: Run, serve: Serve, tmp_path: Path) -> None:
    daemon = serve(says(f"touch {tmp_path}/made"))
    done = agentgw("run", "-e", "make", "it", stdin="")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"touch {tmp_path}/made\n", "")
    assert not (tmp_path / "made").exists()
    asked = daemon.params("turn.start")
    assert (asked["message"], asked["tools"], asked["ephemeral"]) == ("make it", [], True)
    assert "/" not in asked["system"].partition("for the shell ")[2].partition(" on ")[0]


@pytest.mark.parametrize("hidden", ["\x1b[8m", "\u202e", "\u3164", "\u2800", "\U000e0041", "\ufe0f"])
def test_a_pipe_gets_no_command_with_hidden_characters(cli: Cli, serve: Serve, hidden: str) -> None:
    serve(says(f"ls {hidden} -l"))
    status, out, err = cli("run", "-e", "list files")
    assert (status, out) == (1, "")
    assert f"such as {hidden[0]!a}" in err


def test_half_a_command_is_none(cli: Cli, serve: Serve) -> None:
    serve(says("rm -r build/", finish_reason="length"))
    status, out, err = cli("run", "-e", "clean the cache below build")
    assert (status, out) == (1, "")
    assert "half a command is none" in err
    assert "max_tokens" in err


@pytest.mark.parametrize(
    "words", [("--json",), ("-x",), ("--schema", "a"), ("-c",), ("--detach",), ("-t", "read_file")]
)
def test_options_about_answers_are_refused(cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
    serve(says())
    status, out, err = cli("run", "-e", *words, "list files")
    assert status == 2
    # Whoever asks for JSON gets the error as JSON, and never a command.
    assert out == "" if words != ("--json",) else [*json.loads(out)] == ["error"]
    assert "-e does not go with" in err


def test_a_terminal_is_asked_and_its_yes_runs_the_command(terminal: Terminals, serve: Serve) -> None:
    serve(says("echo ran-$((20+3)); exit 7"))
    shown = terminal("run", "-e", "say it", environment={"SHELL": "/bin/sh"})
    shown.wait_for("Enter: quit")
    assert "ran-23" not in shown.text
    shown.type("e\n")
    shown.wait_for("ran-23")
    assert shown.end() == 7


def test_it_can_be_revised_described_and_left(terminal: Terminals, serve: Serve) -> None:
    daemon = serve(says("ls", "ls -a", "It lists files."))
    shown = terminal("run", "-e", "list files", environment={"SHELL": "/bin/sh"})
    shown.wait_for("Enter: quit")
    shown.type("r\n")
    shown.wait_for("different?")
    shown.type("hidden ones too\n")
    shown.wait_for("ls -a")
    assert "Change it: hidden ones too" in daemon.params("turn.start")["message"]
    shown.type("d\n")
    shown.wait_for("It lists files.")
    assert daemon.params("turn.start")["message"] == "ls -a"
    shown.type("c\n")
    shown.wait_for("\x1b]52;c;bHMgLWE=\x07")
    assert shown.end() == 0


def test_a_command_with_hidden_characters_is_shown_and_never_run(
    terminal: Terminals, serve: Serve, tmp_path: Path
) -> None:
    serve(says(f"touch {tmp_path}/made \u3164"))
    shown = terminal("run", "-e", "say it", environment={"SHELL": "/bin/sh"}, columns=200)
    shown.wait_for("Enter: quit")
    shown.type("e\nc\n\n")
    assert shown.end() == 0
    assert shown.text.count("is neither run nor copied") == 2
    assert "\x1b]52" not in shown.text
    assert not (tmp_path / "made").exists()
