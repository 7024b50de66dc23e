"""Asked on the terminal or in the queue, and nothing on the screen but what the call is."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from typing import Any

import pytest

from agentgw.cli.asking.approval_prompt import lines
from agentgw.cli.commands.run import read_approvals
from agentgw.local.paths import Paths
from agentgw.protocol.errors import ApprovalDenied, UsageError
from tests.client.commandline import Cli, Run
from tests.client.fakedaemon import Failure, FakeDaemon, Peer, Serve
from tests.shell.terminal import Terminal

HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\u202eevil\rrm\u200b\nAllow ls? yes"
APPROVAL: dict[str, Any] = {
    "approval_id": "a-1", "call_id": "c1", "tool": "write_file", "arguments": {"path": HOSTILE}, "cwd": "/home/\x1b[1m",
    "expires_at": "2026-01-01T00:02:00Z", "title": "write\x1b[2Jevil", "details": ["one\ntwo"],
    "diff": "--- a\n+++ b\n-old\x1b[A\n+new",
}  # fmt: skip


class Asking:
    """A daemon whose turn waits for an answer."""

    def __init__(self, serve: Serve, **answers: Any) -> None:
        self.open = True
        self.answered = threading.Event()
        self.subscribers: list[Peer] = []
        self.daemon: FakeDaemon = serve(
            {
                "approval.list": lambda *_: {"approvals": [APPROVAL] if self.open else []},
                "approval.answer": self.answer,
                "config.get": {"settings": []},
                "event.subscribe": lambda peer, _: self.subscribers.append(peer) or {"ok": True},
                "turn.attach": self.turn,
                "turn.cancel": lambda *_: self.answered.set() or {"ok": True},
                "turn.start": self.turn,
                **answers,
            }
        )

    def answer(self, peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        self.settle(params["decision"])
        self.answered.set()
        return {"ok": True}

    def settle(self, decision: str) -> None:
        """Decides the question while the turn does not say so yet: its tool runs."""
        self.open = False
        for peer in self.subscribers:
            peer.notify("event", topic="approvals", name="answered", data={"approval_id": "a-1", "decision": decision})

    def turn(self, peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.notify("turn.approval", **APPROVAL)
        assert self.answered.wait(20)
        peer.delta("done")
        return {"text": "done", "finish_reason": "stop"}


@pytest.fixture
def asking(serve: Serve) -> Asking:
    return Asking(serve)


def on_terminal(paths: Paths, *words: str) -> Terminal:
    command = [sys.executable, "-m", "agentgw", *(words or ("run", "hi"))]
    return Terminal(command, {**os.environ, "AGENTGW_HOME": paths.home})


@pytest.mark.parametrize(
    ("keys", "decision"),
    [("o\n", "allow_once"), ("session\n", "allow_session"), ("A\n", "allow_always"), ("d\n", "deny"), ("\n", "deny"),
     ("\x04", "deny")],
)  # fmt: skip
def test_an_answer_on_the_terminal_lets_the_turn_go_on(asking: Asking, paths: Paths, keys: str, decision: str) -> None:
    with on_terminal(paths) as terminal:
        terminal.wait_for("Allow write_file?")
        terminal.send(keys)
        terminal.wait_for("done")
        assert terminal.wait_exit() == 0
    assert asking.daemon.params("approval.answer") == {"approval_id": "a-1", "decision": decision}
    assert asking.daemon.params("turn.start")["approvals"] == ["ask"]


def test_hostile_arguments_are_seen_and_obeyed_by_nothing(asking: Asking, paths: Paths) -> None:
    with on_terminal(paths) as terminal:
        screen = terminal.wait_for("Allow write_file?", "The agent wants to use a tool.")
        flat = screen.replace("\n", "")
        for escaped in (
            "\\u001b]52;c",
            "\\u001b[2J",
            "\\u202eevil",
            "\\r",
            "\\u200b",
            "\\x1b[1m",
            "\\x1b[A",
            "one\\ntwo",
        ):
            assert escaped in flat
        terminal.send("what\n")
        terminal.wait_for("what\nAllow write_file?")
        terminal.send("deny\n")
        terminal.wait_for("done")


def test_an_answer_from_elsewhere_ends_the_question(asking: Asking, paths: Paths, cli: Cli) -> None:
    with on_terminal(paths) as terminal:
        terminal.wait_for("Allow write_file?")
        assert cli("approvals", "answer", "a-1", "once")[0] == 0
        terminal.wait_for("no longer asked", "done")
        assert terminal.wait_exit() == 0
    assert asking.daemon.methods().count("approval.answer") == 1


@pytest.mark.parametrize(
    ("end", "said"), [("allow_once", "allowed once"), ("expired", "nobody answered in time"), ("deny", "denied")]
)
def test_a_question_that_is_settled_goes_away_before_the_turn_says_more(
    asking: Asking, paths: Paths, end: str, said: str
) -> None:
    with on_terminal(paths) as terminal:
        terminal.wait_for("Allow write_file?")
        asking.settle(end)
        terminal.wait_for(f"no longer asked: {said}")
        asking.answered.set()
        terminal.wait_for("done")
        assert terminal.wait_exit() == 0
    assert "approval.answer" not in asking.daemon.methods()


def test_an_answer_that_came_too_late_is_not_taken_for_the_one_that_holds(serve: Serve, paths: Paths) -> None:
    def late(*_: object) -> None:
        asking.answered.set()
        raise Failure(-32002, "approval a-1 was answered already: allow_once")

    asking = Asking(serve, **{"approval.answer": late})
    with on_terminal(paths) as terminal:
        terminal.wait_for("Allow write_file?")
        terminal.send("d\n")
        terminal.wait_for("was answered already: allow_once", "done")


def test_what_was_answered_before_is_not_asked_when_a_turn_is_watched_again(asking: Asking, paths: Paths) -> None:
    asking.open = False
    asking.answered.set()
    with on_terminal(paths, "attach", "turn1") as terminal:
        assert "Allow" not in terminal.wait_for("done")
    assert "approval.list" in asking.daemon.methods()


def test_ctrl_c_at_the_question_cancels_the_turn(asking: Asking, paths: Paths) -> None:
    with on_terminal(paths) as terminal:
        terminal.wait_for("Allow write_file?")
        terminal.send("\x03")
        assert terminal.wait_exit() == 130
    assert "turn.cancel" in asking.daemon.methods()
    assert "approval.answer" not in asking.daemon.methods()


def test_the_time_limit_holds_while_it_is_asked(asking: Asking, paths: Paths) -> None:
    with on_terminal(paths, "run", "--timeout", "1", "hi") as terminal:
        assert terminal.wait_exit() == 124
    assert "approval.answer" not in asking.daemon.methods()


def test_a_piped_message_is_asked_about_at_the_terminal(asking: Asking, paths: Paths) -> None:
    line = f"echo words | {sys.executable} -m agentgw run | cat"
    with Terminal(["sh", "-c", line], {**os.environ, "AGENTGW_HOME": paths.home}) as terminal:
        terminal.wait_for("Allow write_file?")
        terminal.send("s\n")
        terminal.wait_for("done")
    assert asking.daemon.params("turn.start")["message"] == "words"
    assert asking.daemon.params("approval.answer")["decision"] == "allow_session"


def test_the_chat_asks_and_goes_on(asking: Asking, paths: Paths) -> None:
    command = [sys.executable, "-m", "agentgw_shell"]
    with Terminal(command, {**os.environ, "AGENTGW_HOME": paths.home}) as terminal:
        terminal.wait_for("\n›")
        terminal.send("hi\r")
        terminal.wait_for("Allow write_file?")
        terminal.send("s\r")
        terminal.wait_for("done\n›")
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    assert asking.daemon.params("approval.answer")["decision"] == "allow_session"
    assert asking.daemon.params("turn.start")["approvals"] == ["ask"]


def test_a_daemon_that_ends_at_the_question_ends_the_question(asking: Asking, paths: Paths) -> None:
    with on_terminal(paths) as terminal:
        terminal.wait_for("Allow write_file?")
        for peer in asking.daemon.peers:
            peer.gone.set()
            peer.connection.shutdown(socket.SHUT_RDWR)
        terminal.wait_for("the daemon ended before it answered")
        assert terminal.wait_exit() == 3
    asking.answered.set()


def test_in_a_pipe_ask_waits_in_the_queue_and_says_how_to_answer(serve: Serve, agentgw: Run) -> None:
    def turn(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.notify("turn.approval", **APPROVAL)
        return {"text": "done", "finish_reason": "stop"}

    asking = Asking(serve, **{"turn.start": turn})
    done = agentgw("run", "--no-stream", "--approve", "ask", "hi")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr == "agentgw: a tool call waits: agentgw approvals answer a-1 once|session|always|deny\n"
    assert "approval.answer" not in asking.daemon.methods()


def test_a_denied_call_is_exit_status_5(serve: Serve, agentgw: Run) -> None:
    serve({"turn.start": Failure(-32012, "write_file needs an approval", tool="write_file")})
    done = agentgw("run", "hi")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == f"agentgw: write_file needs an approval. {ApprovalDenied.remedy}\n"


@pytest.mark.parametrize(("denied", "expected"), [(True, 5), (None, 0)])
def test_an_answer_without_a_call_that_was_denied_is_exit_status_5(
    serve: Serve, agentgw: Run, denied: bool | None, expected: int
) -> None:
    def turn(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        flag = {} if denied is None else {"denied": denied}
        peer.notify("turn.tool_result", call_id="c1", ok=False, content="no", **flag)
        peer.delta("done without it")
        return {"text": "done without it", "finish_reason": "stop"}

    serve({"turn.start": turn})
    done = agentgw("run", "hi")
    assert (done.returncode, done.stdout) == (expected, "done without it\n")


def test_a_call_by_hand_is_asked_about_on_the_terminal(asking: Asking, paths: Paths) -> None:
    def call(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.notify("turn.approval", **APPROVAL)
        assert asking.answered.wait(20)
        return {"ok": True, "content": "written"}

    asking.daemon.answers["tool.call"] = call
    with on_terminal(paths, "tools", "call", "write_file", "{}") as terminal:
        terminal.wait_for("Allow write_file?")
        terminal.send("o\n")
        terminal.wait_for("written")
        assert terminal.wait_exit() == 0
    assert asking.daemon.params("tool.call")["approvals"] == ["ask"]


def test_every_line_is_free_of_control_characters() -> None:
    shown = list(lines(APPROVAL))
    assert all(text.isprintable() for text in shown)
    assert shown[0] == "write_file: write\\x1b[2Jevil"
    assert shown[-1] == "  | +new"


def test_without_a_terminal_what_needs_a_yes_is_denied(asking: Asking, cli: Cli) -> None:
    asking.answered.set()
    asking.open = False
    assert cli("run", "hi")[0] == 0
    assert asking.daemon.params("turn.start")["approvals"] == ["deny"]
    assert read_approvals("write_file, fetch_url") == ["write_file", "fetch_url", "deny"]
    assert read_approvals("ask") == ["ask"]
    with pytest.raises(UsageError, match="empty"):
        read_approvals("write_file,")


def test_the_queue_is_listed_whole_and_as_json(asking: Asking, cli: Cli) -> None:
    status, out, _ = cli("approvals")
    assert status == 0
    assert out.startswith("a-1  until 2026-01-01 00:02\n  write_file: ")
    assert "\x1b" not in out
    assert json.loads(cli("approvals", "list", "--json")[1]) == {"approvals": [APPROVAL]}
    asking.open = False
    assert "nothing waits" in cli("approvals")[2]


def test_rules_are_listed_and_revoked(serve: Serve, cli: Cli) -> None:
    rule = {"rule_id": "r-1", "tool": "ls", "arguments": {}, "cwd": "/", "created_at": "2026-01-01T00:00:00Z"}
    daemon = serve({"approval.rules": {"rules": [rule]}, "approval.revoke": {"ok": True}})
    assert cli("approvals", "rules")[1] == "r-1  since 2026-01-01 00:00\n  ls\n    arguments: {}\n    in: /\n"
    assert cli("approvals", "revoke", "r-1")[0] == 0
    assert daemon.params("approval.revoke") == {"rule_id": "r-1"}


def test_an_answer_that_comes_second_is_told_so(serve: Serve, cli: Cli) -> None:
    serve({"approval.answer": Failure(-32002, "approval a-1 was answered already: deny")})
    status, _, err = cli("approvals", "answer", "a-1", "always")
    assert (status, err) == (1, "agentgw: approval a-1 was answered already: deny\n")
