"""The chat as a person uses it: a real terminal, a real daemon."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.shell.program import AGENTGW
from tests.shell.terminal import Terminal
from tests.starter import starter_model

pytestmark = pytest.mark.e2e


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    made = {**os.environ, "AGENTGW_HOME": str(home), "AGENTGW_MODEL__DEFAULT": "echo"}
    yield made
    subprocess.run([AGENTGW, "stop"], env=made, capture_output=True, timeout=PATIENCE_S, check=False)


def chat(environment: dict[str, str], *flags: str) -> Terminal:
    return Terminal([AGENTGW, "chat", *flags], environment)


def sessions(environment: dict[str, str]) -> list[dict[str, object]]:
    done = subprocess.run(
        [AGENTGW, "sessions", "--json"], env=environment, capture_output=True, timeout=PATIENCE_S, check=True
    )
    return json.loads(done.stdout)["sessions"]


def test_a_message_is_answered_and_the_session_goes_on(environment: dict[str, str]) -> None:
    with chat(environment) as terminal:
        terminal.wait_for("Ctrl-D leaves", "›")
        terminal.send("first words\r")
        terminal.wait_for("\nfirst words")
        terminal.send("second words\r")
        terminal.wait_for("\nsecond words")
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    (session,) = sessions(environment)
    assert session["turns"] == 2


def test_the_first_bar_tells_the_model_that_was_asked_for(environment: dict[str, str]) -> None:
    with chat({**environment, "AGENTGW_MODEL__DEFAULT": "smollm2:135m"}, "-m", "echo") as terminal:
        terminal.wait_for("\necho · ")
        terminal.send("\x04")
        assert terminal.wait_exit() == 0


def test_alt_enter_begins_a_new_line(environment: dict[str, str]) -> None:
    with chat(environment) as terminal:
        terminal.wait_for("\n›")
        terminal.send("one\x1b\rtwo\r")
        terminal.wait_for("one\ntwo")


def test_commands_of_the_chat(environment: dict[str, str]) -> None:
    with chat(environment) as terminal:
        terminal.wait_for("\n›")
        terminal.send("/help\r")
        terminal.wait_for("Your documents", "Ctrl-C cancels the answer")
        terminal.send("/session\r")
        terminal.wait_for("no session yet")
        terminal.send("/nonsense\r")
        terminal.wait_for("there is no command /nonsense")
        terminal.send("hello\r")
        terminal.wait_for("\nhello")
        terminal.send("/new\r")
        terminal.wait_for("a new session begins")
        terminal.send("again\r")
        terminal.wait_for("\nagain")
        terminal.send("quit\r")
        assert terminal.wait_exit() == 0
    assert len(sessions(environment)) == 2


def test_continue_goes_on_with_the_last_session(environment: dict[str, str]) -> None:
    with chat(environment) as terminal:
        terminal.wait_for("\n›")
        terminal.send("remember me\r")
        terminal.wait_for("\nremember me")
        terminal.send("\x04")
        terminal.wait_exit()
    with chat(environment, "-c") as terminal:
        terminal.wait_for("going on with s-", "remember me", "\n›")
        terminal.send("more\r")
        terminal.wait_for("\nmore")
        terminal.send("\x04")
        terminal.wait_exit()
    (session,) = sessions(environment)
    assert session["turns"] == 2


def test_interrupting_an_answer_keeps_the_session(environment: dict[str, str]) -> None:
    with chat(environment, "-m", str(starter_model())) as terminal:
        terminal.wait_for("\n›")
        terminal.send("Write a very long story about a dog and a cat.\r")
        terminal.wait_for("\n", "dog", timeout_s=60)
        story = len(terminal.text())
        terminal.wait_until(lambda: len(terminal.text()) >= story + 40)
        terminal.send("\x03")
        terminal.wait_for("cancelled; the session goes on")
        terminal.send("/session\r")
        terminal.wait_for("agentgw: s-")
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    (session,) = sessions(environment)
    assert session["turns"] == 1


def test_ctrl_c_at_the_prompt_clears_the_line(environment: dict[str, str]) -> None:
    with chat(environment) as terminal:
        terminal.wait_for("\n›")
        terminal.send("half a thought")
        terminal.wait_for("half a thought")
        terminal.send("\x03")
        terminal.send("whole\r")
        terminal.wait_for("\nwhole")
    (session,) = sessions(environment)
    assert session["title"] == "whole"


def test_control_characters_of_an_answer_are_shown_not_obeyed(environment: dict[str, str]) -> None:
    with chat(environment) as terminal:
        terminal.wait_for("\n›")
        # Typed through the paste bracket, as an editor would hand it over.
        terminal.send("\x1b[200~say \x1b]52;c;aGk=\x07 \u202eevil\x1b[201~\r")
        terminal.wait_for("\\u202e")


def test_what_was_typed_is_private(environment: dict[str, str]) -> None:
    with chat(environment) as terminal:
        terminal.wait_for("\n›")
        terminal.send("secret\r")
        terminal.wait_for("\nsecret")
        terminal.send("\x04")
        terminal.wait_exit()
    history = Path(environment["AGENTGW_HOME"]) / "state" / "repl_history"
    assert "secret" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_without_a_terminal_it_says_what_to_use(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [AGENTGW, "chat"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert b"agentgw run" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("name", [["TERM=dumb"], ["-u", "TERM"]])
def test_a_terminal_that_cannot_move_its_cursor_is_sent_no_escape(environment: dict[str, str], name: list[str]) -> None:
    with Terminal(["env", *name, AGENTGW, "chat"], environment) as terminal:
        terminal.wait_for("Ctrl-D leaves", "›")
        terminal.send("some **words**\n")
        terminal.wait_for("\nsome **words**\n›")
        terminal.send("/copy\n")
        terminal.wait_for("no clipboard")
        terminal.send("/edit\n")
        terminal.wait_for("Enter alone sends: some **words**\n›")
        terminal.send("\n")
        terminal.wait_for("Enter alone sends: some **words**\n›\nsome **words**\n›")
        # The first Ctrl-C may have thrown a line away.
        terminal.send("half a line\x03")
        terminal.wait_for("^C\n›")
        terminal.send("more\n")
        terminal.wait_for("\nmore\n›")
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    assert b"\x1b" not in terminal.received
    assert "more" in (Path(environment["AGENTGW_HOME"]) / "state" / "repl_history").read_text()


def test_without_colours_the_prompt_has_none_either(environment: dict[str, str]) -> None:
    with chat({**environment, "NO_COLOR": "1"}) as terminal:
        terminal.wait_for("Ctrl-D leaves", "›")
        terminal.send("plain\r")
        terminal.wait_for("\nplain\n›", "tok/s")
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    assert not re.search(rb"\x1b\[[0-9;]*[3-9][0-9]?m", terminal.received)


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("'/opt/my editor", "EDITOR cannot be read as a command"),
        ("/nowhere/vi", "the editor /nowhere/vi cannot be started"),
        ("false", "the editor false ended with exit status 1"),
        ("rm", "the text could not be handed to an editor"),
    ],
)
def test_an_editor_that_fails_leaves_the_draft(environment: dict[str, str], editor: str, said: str) -> None:
    with chat({**environment, "VISUAL": editor}) as terminal:
        terminal.wait_for("\n›")
        terminal.send("a draft\x18\x05")
        terminal.wait_for(said, "› a draft")
        terminal.send(" goes on\r")
        terminal.wait_for("\na draft goes on\n›")


def test_what_the_editor_leaves_is_sent(environment: dict[str, str]) -> None:
    with chat({**environment, "VISUAL": 'sh -c \'echo " and more" >> "$1"\' x'}) as terminal:
        terminal.wait_for("\n›")
        terminal.send("a draft\x18\x05")
        terminal.wait_for("\na draft and more\n›")
