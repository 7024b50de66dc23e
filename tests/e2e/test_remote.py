"""A daemon elsewhere, by the real binary: through HTTP, and through a real sshd where there is one."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import SCRIPTED, Endpoint
from tests.e2e.home import KEY, Home, heard, until
from tests.e2e.sshd import Sshd, missing

pytestmark = pytest.mark.e2e


class Elsewhere:
    """A daemon over there with a scripted model, and how it is reached from a home of its own here."""

    def __init__(self, there: Home, endpoint: Endpoint, here: Home, environ: dict[str, str]) -> None:
        self.there = there
        self.endpoint = endpoint
        self.here = here
        self.environ = environ

    def ask(self, *words: str, said: str | None = None) -> str:
        return self.here.ask(*words, said=said, environ=self.environ)


@pytest.fixture(scope="module")
def daemon(shared_home: Home) -> Iterator[tuple[Home, Endpoint]]:
    with Endpoint() as endpoint:
        shared_home.configure(endpoint.config)
        shared_home.serve("--port", "0", environ={"AGENTGW_API_KEY": KEY})
        yield shared_home, endpoint


@pytest.fixture(scope="module", params=["http", "ssh"])
def elsewhere(
    request: pytest.FixtureRequest, daemon: tuple[Home, Endpoint], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Elsewhere]:
    there, endpoint = daemon
    with Home() as here:
        if request.param == "http":
            address = re.findall(r"HTTP on (http://\S+);", there.log)[-1]
            yield Elsewhere(there, endpoint, here, {"AGENTGW_URL": address, "AGENTGW_API_KEY": KEY})
        elif reason := missing():
            pytest.skip(reason)
        else:
            programs = str(Path(sys.executable).parent)
            environ = {"AGENTGW_HOME": str(there.path), "PATH": f"{programs}:/usr/bin:/bin"}
            with Sshd(tmp_path_factory.mktemp("ssh") / "etc", environ) as sshd:
                yield Elsewhere(there, endpoint, here, {"AGENTGW_URL": sshd.url, "PATH": sshd.path})
        # Nothing of a daemon was made here.
        assert not (here.path / "data").exists()


def test_an_answer_streams_from_there(elsewhere: Elsewhere) -> None:
    child = elsewhere.here.start(*SCRIPTED, "go", environ=elsewhere.environ)
    conversation = elsewhere.endpoint.next()
    conversation.say("so far")
    assert heard(child, 6) == "so far"
    conversation.say(", so good")
    conversation.end()
    done = elsewhere.here.finish(child)
    assert (done.status, done.out, done.err) == (0, ", so good\n", "")


def test_ctrl_c_cancels_the_turn_over_there(elsewhere: Elsewhere) -> None:
    child = elsewhere.here.start(*SCRIPTED, "go", environ=elsewhere.environ, start_new_session=True)
    conversation = elsewhere.endpoint.next()
    conversation.say("so far")
    assert heard(child, 6) == "so far"
    child.send_signal(signal.SIGINT)
    assert elsewhere.here.finish(child).status == 130
    assert conversation.left.wait(10)


def test_a_client_that_is_killed_cancels_its_turn_although_it_is_silent(elsewhere: Elsewhere) -> None:
    child = elsewhere.here.start(*SCRIPTED, "go", environ=elsewhere.environ)
    conversation = elsewhere.endpoint.next()
    child.kill()
    elsewhere.here.finish(child)
    assert conversation.left.wait(10)


def test_commands_of_all_kinds_go_there(elsewhere: Elsewhere) -> None:
    elsewhere.ask("run", "-m", "echo", "a title of its own")
    assert "a title of its own" in elsewhere.ask("sessions")
    assert f"{elsewhere.there.path}/run/agentgw.sock" in elsewhere.ask("status")
    assert "general-assistant" in elsewhere.ask("skills")
    assert elsewhere.ask("call", "ping").strip() == '"pong"'
    assert elsewhere.ask("run", "-m", "echo", said="from here") == "from here\n"
    assert " answers at " in elsewhere.here.run("doctor", environ=elsewhere.environ).out


def test_nothing_is_left_of_a_connection(elsewhere: Elsewhere) -> None:
    elsewhere.ask("call", "ping")
    until(elsewhere.there.is_at_rest, "the connection is closed")


def test_a_wrong_key_is_told_in_one_line(daemon: tuple[Home, Endpoint], home: Home) -> None:
    address = re.findall(r"HTTP on (http://\S+);", daemon[0].log)[-1]
    done = home.run("run", "hi", environ={"AGENTGW_URL": address, "AGENTGW_API_KEY": "wrong"})
    assert (done.status, done.out) == (78, "")
    assert done.err.count("\n") == 1
    assert "AGENTGW_API_KEY" in done.err
    assert "wrong-" not in done.err


def test_ssh_that_cannot_get_in_is_told_in_one_line(home: Home, tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)
    with Sshd(tmp_path / "etc", {}) as sshd:
        (tmp_path / "etc" / "authorized").write_text("")
        done = home.run("run", "hi", environ={"AGENTGW_URL": sshd.url, "PATH": sshd.path})
    assert (done.status, done.out) == (3, "")
    assert "Permission denied" in done.err
    assert done.err.count("\n") == 1
