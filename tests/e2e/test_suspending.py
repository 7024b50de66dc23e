"""Ctrl-Z in a shell with jobs: the command stops and goes on with `fg`, the daemon goes on all the time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import AGENTGW, Home
from tests.shell.terminal import Terminal

pytestmark = pytest.mark.e2e
SUSPEND = "\x1a"


@pytest.fixture
def shell(home: Home, endpoint: Endpoint) -> Iterator[Terminal]:
    environ = {**home.environ, "PATH": f"{Path(AGENTGW).parent}:{os.defpath}", "PS1": "ready> "}
    with Terminal(("bash", "--norc", "-i"), environ, cwd=home.work) as made:
        made.wait_for("ready>")
        made.send("stty -g > before\n")
        yield made


def find_the_terminal_as_before(shell: Terminal) -> None:
    shell.send("clear; stty -g | cmp - before; echo compared $?\n")
    # What was typed has `$?` there.
    shell.wait_for("compared 0")


def test_an_answer_is_gone_on_with(shell: Terminal, home: Home, endpoint: Endpoint) -> None:
    shell.send("agentgw run -m scripted/m hello\n")
    conversation = endpoint.next()
    conversation.say("first half ", "and ")
    shell.wait_for("first half")
    shell.send(SUSPEND)
    shell.wait_for("Stopped")
    # Neither of the group of this job nor held up by a reader that stands still.
    assert home.call("daemon.status")["turns"] == 1
    conversation.end("the rest.")
    shell.send("fg; echo done $?\n")
    shell.wait_for("the rest.\ndone 0")
    find_the_terminal_as_before(shell)


def test_the_chat_is_gone_on_with_in_an_answer(shell: Terminal, endpoint: Endpoint) -> None:
    shell.send("agentgw chat -m scripted/m\n")
    shell.wait_for("Ctrl-D leaves", "\n›")
    shell.send("question\r")
    conversation = endpoint.next()
    conversation.say("one two three\n\nfour")
    shell.wait_for("one two three")
    shell.send(SUSPEND)
    shell.wait_for("Stopped")
    shell.send("fg\n")
    conversation.end(" five.")
    shell.wait_for("four five.\n›")
    shell.send("/quit\r")
    # What is typed while it ends is still its own.
    shell.wait_for("/quit\nready>")
    find_the_terminal_as_before(shell)
