"""Agents that work for agents, with the real binary and a model that the test speaks for."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home, until
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

ASK = ("run", "-m", "scripted/m", "-s", "project-manager")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as made:
        yield made


@pytest.fixture
def home(endpoint: Endpoint) -> Iterator[Home]:
    with Home() as made:
        made.configure(endpoint.config)
        yield made
        assert "Traceback" not in made.log


def delegates(home: Home, endpoint: Endpoint, *words: str) -> subprocess.Popen[bytes]:
    """A turn that has handed its task to code-assistant."""
    child = home.start(*ASK, *words, "have it done")
    endpoint.next().call("delegate_to_agent", skill="code-assistant", task="say yes")
    return child


def states(home: Home) -> dict[str, str]:
    return {turn["skill"]: turn["state"] for turn in home.call("turn.list")["turns"]}


def test_the_answer_is_on_standard_output_and_what_the_agent_does_beside_it(home: Home, endpoint: Endpoint) -> None:
    child = delegates(home, endpoint)
    endpoint.next().call("read_file", path="nothing.txt")
    worker = endpoint.next()
    assert "nothing.txt" in worker.messages[-1]["content"]
    worker.end("yes it is")
    endpoint.next().end("The worker said yes.")
    done = home.finish(child)
    assert (done.status, done.out) == (0, "The worker said yes.\n")
    lines = done.err.splitlines()
    assert lines[0] == "agentgw: delegate_to_agent(skill='code-assistant', task='say yes')"
    assert lines[1].startswith("agentgw: code-assistant works on it; `agentgw attach t-")
    assert lines[2] == "agentgw: code-assistant: read_file(path='nothing.txt')"
    assert lines[3].startswith("agentgw: code-assistant: failed: ")
    assert len(lines) == 4
    assert home.ask("sessions").count("└ say yes") == 1


@pytest.mark.parametrize("leaving", [signal.SIGINT, signal.SIGKILL])
def test_who_leaves_takes_all_agents_along(home: Home, endpoint: Endpoint, leaving: signal.Signals) -> None:
    child = delegates(home, endpoint)
    worker = endpoint.next()
    worker.say("I begin")
    child.send_signal(leaving)
    assert worker.left.wait(PATIENCE_S), "the daemon hangs up on the model"
    done = home.finish(child)
    assert done.status == (130 if leaving is signal.SIGINT else -signal.SIGKILL)
    until(lambda: "running" not in states(home).values(), "all have ended")
    assert states(home) == {"project-manager": "cancelled", "code-assistant": "cancelled"}


def test_a_detached_turns_agents_outlive_the_client(home: Home, endpoint: Endpoint) -> None:
    child = delegates(home, endpoint, "--detach")
    turn_id = home.finish(child).out.strip()
    endpoint.next().end("yes")
    endpoint.next().end("done")
    assert home.run("attach", turn_id).out == "done\n"


def test_in_a_pipe_an_agents_call_that_needs_a_yes_is_not_even_offered(home: Home, endpoint: Endpoint) -> None:
    child = delegates(home, endpoint)
    worker = endpoint.next()
    names = {tool["function"]["name"] for tool in worker.body["tools"]}
    assert "read_file" in names
    assert {"write_file", "run_command", "fetch_url"}.isdisjoint(names)
    worker.end("yes")
    endpoint.next().end("done")
    assert home.finish(child).status == 0


def test_an_agent_that_asks_survives_the_daemon_with_the_turn_that_waits_for_it(home: Home, endpoint: Endpoint) -> None:
    home.daemon()
    child = delegates(home, endpoint, "--approve", "ask", "--json", "--detach")
    turn_id = json.loads(home.finish(child).out)["turn_id"]
    endpoint.next().call("run_command", argv=["sh", "-c", "echo ran >> effect"])
    asked: dict[str, Any] = until(lambda: home.call("approval.list")["approvals"], "somebody is asked")[0]
    assert asked["turn_id"] != turn_id
    assert asked["details"][-1] == "wanted by: code-assistant"
    home.kill_daemon()
    home.daemon()
    assert states(home)["code-assistant"] == "waiting"
    assert states(home)["project-manager"] in ("waiting", "running"), "it runs again once it waits for the other"
    assert [one["approval_id"] for one in home.call("approval.list")["approvals"]] == [asked["approval_id"]]
    home.ask("approvals", "answer", asked["approval_id"], "once")
    worker = endpoint.next()
    assert worker.messages[-1]["role"] == "tool"
    worker.end("it ran")
    boss = endpoint.next()
    assert boss.messages[-1]["content"] == "it ran"
    boss.end("all done")
    assert home.run("attach", turn_id).out == "all done\n"
    assert (home.work / "effect").read_text() == "ran\n"
    assert states(home) == {"project-manager": "completed", "code-assistant": "completed"}
