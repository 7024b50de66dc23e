"""A new user's days on a terminal: from the installation to its end, with all that the README begins with between."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw import __version__
from agentgw.cli.cells import width
from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home
from tests.e2e.versions import Installation
from tests.shell.terminal import Terminal

pytestmark = pytest.mark.e2e

NEWER = "4.99.0"
SENTENCE = "Seventeen curious travellers wandered through remarkable mountain villages, searching everywhere for inns."
# Two cells a character.
WIDE = "报销流程需要提交发票原件和审批单，谢谢大家的理解与配合。"


class NewUser:
    """Types commands on a terminal of so many columns, and looks at what it shows."""

    def __init__(self, home: Home, columns: int) -> None:
        self.home = home
        self.columns = columns

    def types(self, *words: str, ends: int = 0, keys: tuple[tuple[str, str], ...] = ()) -> str:
        """The text that a command wrote, which has to end with this status; `keys` answers what it asks."""
        command = [*self.home.agentgw, *words]
        with Terminal(command, self.home.environ, cwd=self.home.work, columns=self.columns) as terminal:
            for shown, typed in keys:
                terminal.wait_for(shown)
                terminal.send(typed)
            status = terminal.wait_exit(60)
            text = terminal.received.decode().replace("\r\n", "\n")
        assert status == ends, f"{words} ended with {status}:\n{text}"
        assert "Traceback" not in text
        lines = [line for line in re.split(r"[\n\r]", text) if is_cut(line, self.columns)]
        assert lines == [], words
        return text


def is_cut(line: str, columns: int) -> bool:
    """Tells whether the edge of the terminal runs through a word that a line has room for."""
    begins = 0
    for word in re.findall(r" +|[^ ]+", line):
        ends = begins + width(word)
        if word[0] != " " and width(word) <= columns and begins // columns != (ends - 1) // columns:
            return True
        begins = ends
    return False


@pytest.mark.parametrize(
    ("line", "cut"),
    [("one two", False), ("one twoo", False), ("one two three", True), ("x" * 20, False), ("one two  three", False)],
)
def test_a_word_at_the_edge_is_seen(line: str, cut: bool) -> None:
    assert is_cut(line, 9) == cut


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "venv", __version__)


@pytest.fixture
def settled(home: Home, installation: Installation) -> Iterator[Home]:
    """A home of that installation, whose embedder is pulled."""
    home.agentgw = installation.agentgw
    home.environ["EDITOR"] = "true"
    home.add_embedder()
    yield home
    home.stop()
    assert "Traceback" not in home.log


@pytest.mark.parametrize("columns", [80, 60])
def test_a_new_user_comes_through_on_a_terminal(
    settled: Home, endpoint: Endpoint, installation: Installation, columns: int
) -> None:
    home, user = settled, NewUser(settled, columns)
    begin(user)
    write_skills(user)
    find_documents(user)
    leave_it_running(user, endpoint)
    look_back(user)
    settle_in(user)
    installation.install(NEWER)
    assert NEWER in user.types("--version")
    user.types("run", "-m", "echo", "hi")
    assert f"version {NEWER}" in user.types("status")
    assert "no service is installed" in user.types("service", "uninstall")
    assert user.types("stop") == "stopped\n"
    shutil.rmtree(installation.packages)
    assert home.processes() == {}


def begin(user: NewUser) -> None:
    """The first run: no model yet, the offer of one declined, and what can be done without."""
    assert __version__ in user.types("--version")
    user.types("--help")
    user.types("run", "hello", ends=4, keys=(("/n]", "n\n"),))
    assert "fix: agentgw pull" in user.types("doctor")
    user.types("models")
    assert SENTENCE in " ".join(user.types("run", "-m", "echo", SENTENCE).split())
    assert WIDE in "".join(user.types("run", "-m", "echo", WIDE).split())
    assert "agentgw models" in user.types("run", "-m", "nosuch", "hello", ends=4)
    assert "agentgw models" in user.types("models", "show", "nosuch", ends=4)
    assert "did you mean search?" in user.types("serch", "rent", ends=2)


def write_skills(user: NewUser) -> None:
    """Skills looked at, and one of one's own made, used and taken away."""
    user.types("skills")
    user.types("skills", "show", "general-assistant")
    user.types("skills", "new", "my-letters")
    user.types("skills", "edit", "my-letters")
    user.types("run", "-m", "echo", "-s", "my-letters", "Dear landlady")
    user.types("skills", "remove", "my-letters", keys=(("[y/N]", "y\n"),))


def find_documents(user: NewUser) -> None:
    """Documents taken in, found, listed and removed."""
    notes = user.home.work / "notes"
    notes.mkdir()
    (notes / "rent.md").write_text(f"# Flat\n\nThe rent is due on the third of each month. {SENTENCE}\n")
    (notes / "garden.md").write_text("# Garden\n\nTomatoes want water in the evening and sun all day.\n")
    assert "2 added" in user.types("ingest", "notes")
    assert "rent.md" in user.types("search", "when do I pay the landlord?")
    user.types("documents")
    user.types("delete-documents", "--source", str(notes), keys=(("[y/N]", "y\n"),))


def leave_it_running(user: NewUser, endpoint: Endpoint) -> None:
    """A turn that is left alone and watched again; calls that are answered in place and from elsewhere."""
    turn = user.types("run", "-m", "scripted/m", "--detach", "write a long report").split()[-1]
    report = endpoint.next()
    assert turn[-6:] in user.types("turns")
    report.end(SENTENCE)
    assert SENTENCE in " ".join(user.types("attach", turn).split())
    user.types("turns", "show", turn)

    done = user.home.work / "done.txt"
    turn = user.types("run", "-m", "scripted/m", "--detach", "--approve", "ask", "write it down").split()[-1]
    endpoint.next().call("write_file", path="done.txt", content=SENTENCE)
    with user.home.connect() as wire:
        wire.call("event.subscribe", topics=["approvals"])
        waiting = wire.call("approval.list")["approvals"]
        while not waiting:
            wire.receive()
            waiting = wire.call("approval.list")["approvals"]
    assert waiting[0]["approval_id"] in user.types("approvals")
    user.types("approvals", "answer", waiting[0]["approval_id"], "once")
    endpoint.next().end("It is written.")
    assert "It is written." in user.types("attach", turn)
    assert done.read_text() == SENTENCE


def look_back(user: NewUser) -> None:
    """Sessions listed, searched, shown and removed."""
    session = re.findall(r"^(s-\w+)", user.types("sessions"), re.MULTILINE)[0]
    assert "curious" in user.types("sessions", "search", "curious travellers")
    assert "nothing was found" in user.types("sessions", "search", "xylophone")
    assert "write it down" in user.types("history", session)
    user.types("history", "-c")
    user.types("feedback", "+1")
    user.types("stats")
    user.types("sessions", "delete", session, keys=(("[y/N]", "y\n"),))
    assert session not in user.types("sessions")


def settle_in(user: NewUser) -> None:
    """Settings, jobs, and a look at the daemon."""
    user.types("config", "set", "agent.max_iterations", "20")
    assert "20" in user.types("config", "show", "agent.max_iterations", "--origin")
    user.types("config", "show")
    user.types("config", "edit")
    user.types(
        "jobs", "add", "sum up my notes", "--name", "notes", "--every", "day at 08:30", keys=(("[y/N]", "n\n"),)
    )  # fmt: skip
    user.types("jobs")
    user.types("jobs", "next")
    user.types("jobs", "remove", "notes")
    for verb in ("status", "ps", "tools", "webhooks", "reload"):
        user.types(verb)
