"""The scripts for shells in real shells, on a pseudo terminal where they need one."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

from agentgw.cli.shells.scripts import SHELLS
from tests.client.fakedaemon import Failure, Peer, Serve
from tests.patience import PATIENCE_S

# A shell that has no terminal of its own leaves.
IN_TERMINAL = (
    sys.executable, "-c",
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])",
)  # fmt: skip
_COLUMNS, _LINES = 100, 24
SET = {"bash": "echo set-$((6*7))", "zsh": "echo set-$((6*7))", "fish": "echo set-(math 6 x 7)"}
START = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
COMPLETION = {
    "bash": 'eval "$(agentgw completion bash)"',
    "zsh": 'autoload -Uz compinit && compinit -u -D && eval "$(agentgw completion zsh)"',
    "fish": "agentgw completion fish | source",
}
KEYS = {
    "bash": 'eval "$(agentgw shell-init bash --remember)"',
    "zsh": 'eval "$(agentgw shell-init zsh --remember)"',
    "fish": "agentgw shell-init fish --remember | source",
}


class ShellScreen:
    """A real shell, and what a person sees of it."""

    def __init__(self, shell: str, folder: Path) -> None:
        self._screen = pyte.Screen(_COLUMNS, _LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        # A terminal without a size makes zsh draw its prompt over the last line of what a key printed.
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
        environment = {
            **os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TERM": "xterm", "PS1": "ready> ",
            "HOME": str(folder), "LANG": "C.UTF-8", "TMUX": "",
        }  # fmt: skip
        self.process = subprocess.Popen(
            (*IN_TERMINAL, *START[shell]),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        """Returns when the text is on the screen."""
        until = time.monotonic() + PATIENCE_S
        while text not in self.text():
            if not select.select([self._master], [], [], max(0.0, until - time.monotonic()))[0]:
                raise AssertionError(f"{text!r} not in:\n{self.text()}")
            data = os.read(self._master, 65536)
            self._stream.feed(data)
            if b"\x1b[c" in data or b"\x1b[0c" in data:
                # fish waits for the answer of a terminal to what it is.
                os.write(self._master, b"\x1b[?6c")

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Iterator[ShellScreen]:
    """Each shell of this machine, with agentgw on its PATH."""
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param} here")
    program = tmp_path / "agentgw"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m agentgw "$@"\n')
    program.chmod(0o755)
    screen = ShellScreen(request.param, tmp_path)
    try:
        screen.type(f"{COMPLETION[request.param]}; {KEYS[request.param]}; {SET[request.param]}\r")
        screen.wait_for("set-42")
        yield screen
    finally:
        screen.close()


def answer(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    assert params["message"] == "list it all"
    return {"turn_id": "t", "session_id": "s", "text": "```sh\necho made-$TERM-by-model\n```", "finish_reason": "stop"}


def test_tab_completes_verbs_and_names_with_colons(shell: ShellScreen, serve: Serve) -> None:
    serve({"model.list": {"models": [{"name": "smollm2:135m"}, {"name": "smollm2:360m"}]}})
    shell.type("agentgw compl\t")
    shell.wait_for("agentgw completion")
    shell.type("\x15agentgw run -m smollm2:1\t")
    shell.wait_for("agentgw run -m smollm2:135m")


SOURCES = {"documents": [{"source": name} for name in ("my notes.md", "my other.md", 'it\'s $1 `x` \\b: "so".md')]}


@pytest.mark.parametrize(
    ("typed", "source"),
    [
        ("my\\ n", "my notes.md"),
        ('"my n', "my notes.md"),
        ("'my n", "my notes.md"),
        ("it", 'it\'s $1 `x` \\b: "so".md'),
        ('"it', 'it\'s $1 `x` \\b: "so".md'),
        ("it\\'s\\ \\$1\\ ", 'it\'s $1 `x` \\b: "so".md'),
    ],
)
def test_tab_goes_on_with_names_that_the_shell_has_to_quote(
    shell: ShellScreen, serve: Serve, typed: str, source: str
) -> None:
    daemon = serve({"document.list": SOURCES, "document.delete": {"documents": 1, "chunks": 1}})
    shell.type(f"agentgw delete-documents --yes --source {typed}\t")
    shell.wait_for(".md")
    shell.type("\r")
    shell.wait_for("deleted")
    assert daemon.params("document.delete")["sources"][0] == source


def test_alt_e_makes_a_command_of_the_line_and_runs_nothing(shell: ShellScreen, serve: Serve) -> None:
    serve({"turn.start": answer})
    shell.type("list it all\x1be")
    shell.wait_for("echo made-$TERM-by-model")
    assert "made-xterm-by-model" not in shell.text()
    shell.type("\r")
    shell.wait_for("made-xterm-by-model")


def explained(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
    peer.delta("It was told to.")
    return {"turn_id": "turn1", "session_id": "session1", "text": "It was told to.", "finish_reason": "stop"}


def test_alt_w_asks_why_the_last_command_failed_and_nothing_is_sent_before(shell: ShellScreen, serve: Serve) -> None:
    daemon = serve({"turn.start": explained})
    shell.type("sh -c 'exit 7'\r")
    shell.wait_for("exit 7")
    assert daemon.methods() == []
    shell.type("\x1bw")
    shell.wait_for("It was told to.")
    asked = daemon.params("turn.start")
    assert "command: sh -c 'exit 7'\nexit status: 7\n" in asked["message"]
    assert (asked["ephemeral"], asked["tools"], asked["piped"]) == (True, [], True)


@pytest.mark.parametrize("shell", [name for name in SHELLS if name != "fish"], indirect=True)
def test_keys_leave_a_shell_alone_that_ends_at_the_first_failure(shell: ShellScreen, serve: Serve) -> None:
    def refuse(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        raise Failure(-32006, f"no answer to {params['message'][:4]}")

    serve({"turn.start": refuse})
    shell.type("unset TMUX; set -eu; echo begin-$((40+1))\r")
    shell.wait_for("begin-41")
    # On an empty line.
    shell.type("\x1be")
    shell.type("\x1bw")
    shell.wait_for("agentgw: no answer to Why")
    shell.type("echo still-$((40+2))\x1be")
    shell.wait_for("agentgw: no answer to echo")
    # The line is as it was, and there is a shell to run it.
    shell.type("\r")
    shell.wait_for("still-42")
