"""The question about a tool call inside the chat: a real terminal, a real daemon, a model that the test speaks for."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.patience import PATIENCE_S
from tests.shell.chat_home import ChatHome
from tests.shell.program import AGENTGW
from tests.shell.terminal import Terminal

pytestmark = pytest.mark.e2e


def asked(chat_home: ChatHome, terminal: Terminal, message: str = "do it", path: str = "a.txt") -> str:
    """The screen with the question that a message leads to."""
    terminal.send(f"{message}\r")
    chat_home.model.next().call("write_file", path=path, content="hello\n")
    return terminal.wait_for("Allow write_file?")


def told(chat_home: ChatHome, terminal: Terminal, answer: str) -> str:
    """The result of the call that the model was told, before it answers."""
    conversation = chat_home.model.next()
    conversation.end(answer)
    terminal.wait_for(f"{answer}\n›")
    return conversation.messages[-1]["content"]


@pytest.mark.parametrize(
    ("keys", "allowed"),
    [("o\r", True), ("session\r", True), ("A\r", True), ("d\r", False), ("\r", False), ("\x04", False)],
    ids=["once", "session", "always", "deny", "enter", "end of input"],
)
def test_what_is_answered_in_the_chat_is_done_and_the_chat_goes_on(
    chat_home: ChatHome, keys: str, allowed: bool
) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        screen = asked(chat_home, terminal)
        assert "arguments:" in screen
        assert "+hello" in screen, "what the file would become"
        assert not chat_home.file.exists()
        terminal.send(keys)
        result = told(chat_home, terminal, "so be it")
        assert chat_home.file.exists() is allowed
        assert ("did not allow" in result) is not allowed
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    rules = chat_home.ask("approvals", "rules", "--json")["rules"]
    assert [rule["tool"] for rule in rules] == (["write_file"] if keys == "A\r" else [])


def test_a_yes_for_the_session_holds_in_this_chat_and_not_in_the_next_session(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        asked(chat_home, terminal)
        terminal.send("s\r")
        told(chat_home, terminal, "done once")
        chat_home.file.write_text("hello\n")
        terminal.send("again\r")
        chat_home.model.next().call("write_file", path="a.txt", content="hello\n")
        told(chat_home, terminal, "done twice")
        terminal.send("/new\r")
        terminal.wait_for("a new session begins")
        terminal.send("and again\r")
        chat_home.model.next().call("write_file", path="a.txt", content="hello\n")
        terminal.wait_for("done twice", "a new session begins", "Allow write_file?")
        terminal.send("d\r")
        told(chat_home, terminal, "not then")


@pytest.mark.parametrize("first", ["", "trap '' INT;"], ids=["usual", "started with interrupts ignored"])
def test_ctrl_c_at_the_question_cancels_the_turn_and_the_chat_goes_on(chat_home: ChatHome, first: str) -> None:
    with chat_home.on_terminal("chat", first=first) as terminal:
        terminal.wait_for("\n›")
        asked(chat_home, terminal)
        terminal.send("\x03")
        terminal.wait_for("cancelled; the session goes on\n›")
        assert not chat_home.file.exists()
        terminal.send("hello?\r")
        told(chat_home, terminal, "still here")
        assert chat_home.ask("approvals", "--json")["approvals"] == []
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    (session,) = chat_home.ask("sessions", "--json")["sessions"]
    turns = chat_home.ask("call", "turn.list", json.dumps({"session_id": session["session_id"]}))["turns"]
    assert [turn["state"] for turn in turns] == ["completed", "cancelled"]


def test_what_was_typed_before_the_question_is_no_answer_to_it(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        terminal.send("do it\r")
        conversation = chat_home.model.next()
        terminal.send("o\r")
        conversation.call("write_file", path="a.txt", content="hello\n")
        terminal.wait_for("Allow write_file?")
        assert len(chat_home.ask("approvals", "--json")["approvals"]) == 1
        assert not chat_home.file.exists()
        terminal.send("\r")
        assert "did not allow" in told(chat_home, terminal, "well")
        assert not chat_home.file.exists()


def test_hostile_arguments_are_shown_and_not_obeyed(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        screen = asked(chat_home, terminal, path="\x1b]52;c;aGk=\x07\x1b[2J\u202eevil\r.txt").replace("\n", "")
        for escaped in ("\\x1b]52;c", "\\x1b[2J", "\\u202e", "\\r"):
            assert escaped in screen or escaped.replace("\\x1b", "\\u001b") in screen
        assert "do it" in screen, "the screen was not cleared"
        terminal.send("d\r")
        told(chat_home, terminal, "well")


def test_an_answer_from_another_terminal_ends_the_question_in_the_chat(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        asked(chat_home, terminal)
        (approval,) = chat_home.ask("approvals", "--json")["approvals"]
        words = [AGENTGW, "approvals", "answer", approval["approval_id"], "once"]
        subprocess.run(words, env=chat_home.environment, capture_output=True, timeout=PATIENCE_S, check=True)
        terminal.wait_for("no longer asked: allowed once")
        told(chat_home, terminal, "done")
        assert chat_home.file.read_text() == "hello\n"


def test_a_call_of_an_agent_that_works_for_the_chats_is_asked_about_there(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat", "-s", "project-manager") as terminal:
        terminal.wait_for("\n›")
        terminal.send("have it done\r")
        chat_home.model.next().call("delegate_to_agent", skill="code-assistant", task="write the file")
        worker = chat_home.model.next()
        assert worker.messages[-1]["content"] == "write the file"
        worker.call("write_file", path="a.txt", content="hello\n")
        terminal.wait_for("code-assistant works on it", "wanted by: code-assistant", "Allow write_file?")
        terminal.send("o\r")
        chat_home.model.next().end("It is written.")
        assert told(chat_home, terminal, "the worker wrote it") == "It is written."
        assert chat_home.file.read_text() == "hello\n"
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    child, parent = sorted(chat_home.ask("sessions", "--json")["sessions"], key=lambda one: one["skill"])
    assert (child["skill"], child["parent_id"]) == ("code-assistant", parent["session_id"])
