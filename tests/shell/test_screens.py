"""The chat on a terminal that answers no questions: one process, one daemon, and what the screen shows on the way.

Two terminal emulators judge it: pyte while it goes on, xterm.js by what is in its scrollback afterwards.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agentgw_shell.rendering.markdown import rendered
from agentgw_shell.rendering.spans import plain_text
from tests.e2e.endpoint import Conversation, Endpoint
from tests.patience import PATIENCE_S
from tests.shell.chat_home import ChatHome, chat_home_in
from tests.shell.emulators.tmux import Tmux, needs_tmux
from tests.shell.emulators.xterm import Xterm, needs_xterm
from tests.shell.emulators.xterm import xterm as xterm
from tests.shell.program import AGENTGW
from tests.shell.rendering.answers import CODE, MIXED
from tests.shell.rendering.screen_of import Scrollback, comparable
from tests.shell.snapshots import Screens
from tests.shell.terminal import Terminal

pytestmark = [pytest.mark.e2e, needs_xterm]

# Questions to the terminal, and what would spoil its scrollback.
UNWANTED = (b"\x1b[6n", b"\x1b[c", b"\x1b[2J", b"\x1b[3J", b"\x1b[?1049h", b"\x1bc", b"\x1b[r")
TABLE = "Two ways:\n\n| Way | Hours |\n|---|--:|\n| train | 3 |\n| bicycle | 21 |\n\nTake the **train**, "
# An empty one, with the bar below it.
PROMPT = "\n›\nscripted/m ·"
PASTED = "\n".join(f"line {number}" for number in range(30))


@pytest.fixture(scope="module")
def chat_home() -> Iterator[ChatHome]:
    # A short name, always of the same length: paths are on the screen.
    with TemporaryDirectory(prefix="agw") as folder, Endpoint() as model, chat_home_in(Path(folder), model) as made:
        yield made


def asked(chat_home: ChatHome, terminal: Terminal, message: str) -> Conversation:
    terminal.send(f"{message}\r")
    return chat_home.model.next()


def played(tape: Sequence[str | tuple[int, int]], xterm: Xterm, columns: int, rows: int) -> list[str]:
    """The scrollback that xterm.js has after all of it."""
    xterm.open(columns, rows)
    for one in tape:
        if isinstance(one, str):
            xterm.write(one)
        else:
            xterm.resize(*one)
    return xterm.lines()


def test_a_day_at_the_terminal(chat_home: ChatHome, xterm: Xterm) -> None:
    screens = Screens(chat_home.work, chat_home.home)
    (chat_home.work / "notes.txt").write_text("the rent is due")
    with chat_home.on_terminal("chat", mute=True) as terminal:
        screens.keep("first-prompt", terminal.wait_for(f"leaves{PROMPT}"))

        # An answer that streams, a message that waits, a line that is being typed and then steers.
        first = asked(chat_home, terminal, "how do I get there?")
        first.say(TABLE)
        terminal.wait_for("bicycle", "Take the train,")
        terminal.send("and back?\r")
        terminal.wait_for("next: and back?")
        terminal.send("without a car")
        screens.keep("typing-while-it-answers", terminal.wait_for("› without a car"))
        terminal.send("\x1bs")
        terminal.wait_for("› without a car", "next: and back?", "Backspace")
        first.end("it is quicker.")
        second = chat_home.model.next()
        assert second.messages[-1]["content"] == "without a car"
        second.end("Then by bicycle.")
        third = chat_home.model.next()
        assert third.messages[-1]["content"] == "and back?"

        # The window becomes narrower in the middle of an answer, and wider again.
        third.say("The same way, but uphill all of the time, which takes a good ")
        terminal.wait_for("which takes")
        terminal.resize(60, 30)
        third.say("deal longer than the way there does. ")
        terminal.wait_for("than the way there does.")
        terminal.resize(90, 30)
        third.end("Leave early.")
        screens.keep("after-resize", terminal.wait_for(f"Leave early.{PROMPT}"))

        terminal.send("/why\r")
        screens.keep("why", terminal.wait_for("of which", "wrote", PROMPT))
        terminal.send("/histroy\r")
        screens.keep("typo", terminal.wait_for(f"/history?{PROMPT}"))

        # A long paste, and Tab.
        terminal.send(f"\x1b[200~{PASTED}\x1b[201~ is what?")
        screens.keep("paste", terminal.wait_for("[pasted 1: 30 lines] is what?\nscripted/m ·"))
        terminal.send("\r")
        pasted = chat_home.model.next()
        assert pasted.messages[-1]["content"] == f"{PASTED} is what?"
        pasted.end("Lines.")
        terminal.wait_for("Lines.\n›")
        terminal.send("/s\t")
        screens.keep("completion", terminal.wait_for("/session", "/skill", "/sources", "\nscripted/m ·"))
        terminal.send("\x03")

        # A call that needs a yes.
        asked(chat_home, terminal, "write it down").call("write_file", path="a.txt", content="one\ntwo\n")
        screens.keep("approval", terminal.wait_for("Allow write_file?"))
        terminal.send("o\r")
        chat_home.model.next().end("It is written down.")
        terminal.wait_for("It is written down.\n›")
        assert chat_home.file.read_text() == "one\ntwo\n"

        # Ctrl-C in the middle of an answer.
        cut = asked(chat_home, terminal, "tell me a long story")
        cut.say("Once upon a time there was a ")
        terminal.wait_for("there was a")
        terminal.send("\x03")
        screens.keep("interrupted", terminal.wait_for(f"cancelled; the session goes on{PROMPT}"))
        assert cut.left.wait(PATIENCE_S)

        # Commands that change the session.
        for command, shown in (
            ("/undo", "stays as it is\n›"), ("/set top_k 7", "top_k is set\n›"),
            ("/system Be brief.", "from now on\n›"),
            ("/file notes.txt", "with the next message: notes.txt\n›"), ("/copy", "terminal's clipboard\n›"),
            (f"/save {chat_home.work}/talk.md", "talk.md\n›"),
        ):  # fmt: skip
            terminal.send(f"{command}\r")
            terminal.wait_for(f"› {command}", shown)
        brief = asked(chat_home, terminal, "when?")
        assert brief.messages[0]["content"].startswith("Be brief.")
        assert "the rent is due" in brief.messages[-1]["content"]
        assert "long story" not in str(brief.messages)
        brief.end("Now.")
        terminal.wait_for("Now.\n›")
        terminal.send("/set top_k -\r")
        terminal.wait_for("top_k is the skill's again\n›")
        assert b"\x1b]52;c;" in terminal.received
        assert "It is written down." in (chat_home.work / "talk.md").read_text()

        # The daemon is killed in the middle of an answer.
        asked(chat_home, terminal, "tell me").say("The first half of it ")
        terminal.wait_for("The first half of it")
        os.kill(chat_home.ask("status", "--json")["pid"], signal.SIGKILL)
        screens.keep("daemon-lost", terminal.wait_for("as far as it came", f"/retry asks once more{PROMPT}"))
        terminal.send("/retry\r")
        again = chat_home.model.next()
        assert again.messages[-1]["content"] == "tell me"
        again.end("All of it.")
        terminal.wait_for("All of it.\n›")

        # The session summed up, and shown whole again.
        terminal.send("/compact\r")
        summing_up = chat_home.model.next()
        assert "User: how do I get there?" in summing_up.messages[-1]["content"]
        assert "tell me" not in summing_up.messages[-1]["content"]
        summing_up.end("They go by **train**, three hours, and come back by bicycle.")
        screens.keep("compact", terminal.wait_for(f"takes it back{PROMPT}"))
        summed_up = asked(chat_home, terminal, "so?")
        assert summed_up.messages[1]["content"].endswith("and come back by bicycle.")
        assert [one["content"] for one in summed_up.messages[3:]] == ["tell me", "All of it.", "so?"]
        summed_up.end("Yes.")
        terminal.wait_for("Yes.\n›")
        terminal.send("/compact undo\r")
        terminal.wait_for("all turns are shown whole again\n›")
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
    lines = played(terminal.tape, xterm, 90, 30)
    in_order = [
        "› how do I get there?", "Take the train, it is quicker.", "Then by bicycle.", "› and back?", "Leave early.",
        "Lines.", "It is written down.", "agentgw: cancelled; the session goes on", "Now.", "All of it.",
    ]  # fmt: skip
    found = [next((n for n, line in enumerate(lines) if one in line), -1) for one in in_order]
    assert -1 not in found, [one for one, place in zip(in_order, found, strict=True) if place < 0]
    assert found == sorted(found)
    for answer in ("bicycle ", "Then by bicycle.", "Once upon a time", "The first half of it", "All of it."):
        assert sum(answer in line for line in lines) == 1, answer
    assert [sequence for sequence in UNWANTED if sequence in terminal.received] == []
    assert not screens.failed, "\n".join([*screens.failed, "AGENTGW_UPDATE_SCREENS=1 keeps them"])


def test_the_scrollback_holds_each_answer_as_if_it_had_been_written_at_once(chat_home: ChatHome, xterm: Xterm) -> None:
    with chat_home.on_terminal("chat", mute=True) as terminal:
        terminal.wait_for("\n›", "scripted/m")
        for columns in (40, 80, 200):
            terminal.resize(columns, 24)
            for name, text, size in (("mixed", MIXED, 40), ("code", CODE, 900)):
                begun = len(terminal.tape)
                answering = asked(chat_home, terminal, f"{name} {columns}")
                for place in range(0, len(text), size):
                    answering.say(text[place : place + size])
                answering.end(f"\n\nEnd of {name} {columns}.")
                terminal.wait_for(f"End of {name} {columns}.\n›")
                once = [
                    comparable(plain_text(line)).rstrip()
                    for line in rendered(f"{text}\n\nEnd of {name} {columns}.", columns - 1)
                ]
                shown = [one for one in terminal.tape[begun:] if isinstance(one, str)]
                pyte = Scrollback(columns, 24)
                pyte.write("".join(shown))
                for lines in (played(shown, xterm, columns, 24), pyte.lines()):
                    drawn = [comparable(line) for line in lines]
                    first = drawn.index(once[0])
                    assert drawn[first : first + len(once)] == once


@needs_tmux
def test_tmux_shows_the_same(chat_home: ChatHome, tmp_path: Path) -> None:
    with Tmux([AGENTGW, "chat"], chat_home.environment, tmp_path, chat_home.work) as terminal:
        terminal.wait_for("\n›", "scripted/m")
        answering = asked(chat_home, terminal, "all kinds")
        for place in range(0, len(MIXED), 60):
            answering.say(MIXED[place : place + 60])
        answering.end("\n\nThat was all.")
        terminal.wait_for("That was all.\n›")
        lines = terminal.scrollback()
    once = [comparable(plain_text(line)).rstrip() for line in rendered(f"{MIXED}\n\nThat was all.", 89)]
    drawn = [comparable(line) for line in lines]
    first = drawn.index(once[0])
    assert drawn[first : first + len(once)] == once
