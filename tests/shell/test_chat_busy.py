"""Typing while the chat answers, and a daemon that goes away: a real terminal, a real daemon."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.shell.chat_home import ChatHome
from tests.shell.program import AGENTGW
from tests.shell.terminal import Terminal

pytestmark = pytest.mark.e2e

# Answers of the terminal that would be asked for, and what would spoil its scrollback.
UNWANTED = (b"\x1b[6n", b"\x1b[2J", b"\x1b[3J", b"\x1b[?1049h", b"\x1bc")


def test_what_is_typed_meanwhile_steers_or_waits_its_turn(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        terminal.send("which colour?\r")
        first = chat_home.model.next()
        first.say("Let me **see**. It ")
        terminal.wait_for("Let me see. It")
        terminal.send("and a shape\r")
        terminal.wait_for("next: and a shape")
        terminal.send("a warm one")
        terminal.wait_for("› a warm one")
        terminal.send("\x1bs")
        # The line that is being typed is empty again, and the turn has what stood there.
        terminal.wait_for("› a warm one", "next: and a shape", "Backspace")
        first.end("is blue.")
        second = chat_home.model.next()
        assert [one["role"] for one in second.messages[-3:]] == ["user", "assistant", "user"]
        assert second.messages[-1]["content"] == "a warm one"
        second.end("It is red.")
        third = chat_home.model.next()
        assert third.messages[-1]["content"] == "and a shape"
        screen = terminal.wait_for("It is red.", "› and a shape")
        assert screen.index("It is blue.") < screen.index("› a warm one") < screen.index("It is red.")
        assert "next:" not in screen
        terminal.send("not sent yet")
        terminal.wait_for("› not sent yet")
        third.end("A circle.")
        terminal.wait_for("A circle.\n› not sent yet")
        terminal.send("\x03\x03\x03")
        assert terminal.wait_exit() == 0
        for sequence in UNWANTED:
            assert sequence not in terminal.received


def test_ctrl_c_cancels_and_gives_what_waited_back(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        # The line below is the editor's: from here on Ctrl-C is a key.
        terminal.wait_for("\n›", "scripted/m")
        terminal.send("too soon\r\x03")
        terminal.wait_for("› too soon\n› too soon")
        terminal.send("\x03")
        terminal.wait_for("› too soon\n› too soon\n›")
        terminal.send("go on for long\r")
        chat_home.model.next().say("Well, ")
        terminal.send("one more\r")
        terminal.wait_for("next: one more")
        terminal.send("\x03")
        terminal.wait_for("cancelled; the session goes on\n› one more")


def test_a_daemon_that_is_killed_costs_a_line_and_the_chat_goes_on(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        terminal.send("tell me\r")
        chat_home.model.next().say("The first half of it ")
        terminal.wait_for("The first half of it")
        os.kill(chat_home.ask("status", "--json")["pid"], signal.SIGKILL)
        terminal.wait_for("The first half of it", "as far as it came", "the daemon is back", "/retry", "\n›")
        terminal.send("/retry\r")
        again = chat_home.model.next()
        assert again.messages[-1]["content"] == "tell me"
        again.end("All of it.")
        terminal.wait_for("All of it.\n›")


def test_without_colour_the_answer_is_shown_as_it_was_written(chat_home: ChatHome) -> None:
    chat_home.environment["NO_COLOR"] = "1"
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        terminal.send("say it\r")
        chat_home.model.next().end("It is **bold**.")
        terminal.wait_for("It is **bold**.\n›")


def test_a_long_paste_is_a_marker_and_tab_completes(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›", "scripted/m")
        lines = "\n".join(f"line {n}" for n in range(30))
        terminal.send(f"\x1b[200~{lines}\x1b[201~ is what?\r")
        model = chat_home.model.next()
        assert model.messages[-1]["content"] == f"{lines} is what?"
        assert "[pasted 1: 30 lines] is what?" in terminal.wait_for("[pasted 1")
        model.end("Lines.")
        terminal.wait_for("Lines.\n›")
        terminal.send("/hel\t")
        terminal.wait_for("› /help")
        terminal.send("\r")
        terminal.wait_for("Your documents")
        Path(chat_home.work, "notes.txt").write_text("the rent is due")
        terminal.send("when? @no\t")
        terminal.wait_for("@notes.txt")
        terminal.send("\r")
        model = chat_home.model.next()
        assert "the rent is due" in model.messages[-1]["content"]
        model.end("Soon.")
        terminal.wait_for("Soon.\n›")


def test_the_terminal_hears_of_a_question(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›")
        terminal.send("do it\r")
        chat_home.model.next().call("write_file", path="a.txt", content="hello\n")
        terminal.wait_for("Allow write_file?")
        assert b"\x07" in terminal.received
        terminal.send("d\r")
        chat_home.model.next().end("Well.")
        terminal.wait_for("Well.\n›")


def test_a_daemon_that_cannot_start_is_tried_again_with_the_next_message(chat_home: ChatHome) -> None:
    config = chat_home.home / "config" / "config.toml"
    right = config.read_text()
    config.write_text("not = [toml")
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›", "no daemon: ")
        terminal.send("hello?\r")
        terminal.wait_for("› hello?\nagentgw:", "Invalid value", "\n›")
        config.write_text(right)
        terminal.send("hello again\r")
        chat_home.model.next().end("Here I am.")
        terminal.wait_for("Here I am.\n›")


def test_a_daemon_that_was_restarted_meanwhile_gets_the_next_message(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›", "scripted/m")
        terminal.send("one\r")
        chat_home.model.next().end("The first.")
        terminal.wait_for("The first.\n›")
        subprocess.run(
            [AGENTGW, "restart"], env=chat_home.environment, capture_output=True, timeout=PATIENCE_S, check=True
        )
        terminal.send("two\r")
        again = chat_home.model.next()
        assert [one["content"] for one in again.messages[-3:]] == ["one", "The first.", "two"]
        again.end("The second.")
        screen = terminal.wait_for("The second.\n›")
        assert "the daemon" not in screen


def test_a_message_of_which_nothing_was_heard_is_in_the_prompt_again(chat_home: ChatHome) -> None:
    with chat_home.on_terminal("chat") as terminal:
        terminal.wait_for("\n›", "scripted/m")
        pid = chat_home.ask("status", "--json")["pid"]
        os.kill(pid, signal.SIGSTOP)
        terminal.send("is anybody there?\r")
        terminal.wait_gone("scripted/m")
        # Read where an answer is awaited, and so behind the message.
        terminal.send("x")
        terminal.wait_for("\n› x")
        os.kill(pid, signal.SIGKILL)
        terminal.wait_for("nothing was heard of the message", "\n› is anybody there?\n  … x")
        terminal.send("\x7f\x7f\r")
        chat_home.model.next().end("Yes.")
        terminal.wait_for("Yes.\n›")


def test_keys_are_still_its_own_after_a_stop_in_mid_answer(chat_home: ChatHome) -> None:
    shell = ["bash", "--norc", "--noprofile", "-i"]
    with Terminal(shell, {**chat_home.environment, "PS1": "shell$ "}, cwd=chat_home.work) as terminal:
        terminal.wait_for("shell$")
        terminal.send(f"{AGENTGW} chat\n")
        terminal.wait_for("\n›", "scripted/m")
        terminal.send("tell me\r")
        answer = chat_home.model.next()
        answer.say("The first half ")
        terminal.wait_for("The first half")
        terminal.send("\x1a")
        terminal.wait_for("Stopped", "shell$")
        terminal.send("fg\n")
        answer.say("goes on ")
        terminal.wait_for("goes on")
        terminal.send("and then?")
        terminal.wait_for("\n› and then?")
        answer.end("to the end.")
        terminal.wait_for("goes on to the end.\n› and then?")
