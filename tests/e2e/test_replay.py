"""Turns once more, from end to end: the same model says the same, another one differs, and nothing is done twice."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Done, Home, starter_home
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def agent() -> Iterator[Home]:
    """One installation whose model stays loaded."""
    yield from starter_home()


def ask(home: Home, *words: str, cwd: Path | None = None) -> dict[str, Any]:
    done = home.run("run", "--json", "-o", "max_tokens=24", *words, within_s=120, **({"cwd": cwd} if cwd else {}))
    assert done.status == 0, done
    result: dict[str, Any] = json.loads(done.out)
    return result


def replay(home: Home, turn_id: str, *words: str) -> tuple[Done, dict[str, Any]]:
    done = home.run("replay", turn_id, "--json", *words, within_s=120)
    return done, json.loads(done.out) if done.out else {}


@pytest.mark.parametrize("options", [("-o", "seed=7"), ("-o", "temperature=0")])
def test_the_same_model_says_the_same_and_another_one_differs(agent: Home, options: tuple[str, ...]) -> None:
    # An answer that is certain at each word, on every processor.
    turn = ask(agent, *options, "What is the capital of France?")
    counted = agent.call("stats.get")
    done, result = replay(agent, turn["turn_id"])
    assert (done.status, result["identical"], result["prompt"]) == (0, True, "same"), result
    assert result["replayed"]["text"] == turn["text"]
    done, result = replay(agent, turn["turn_id"], "-m", "echo")
    assert (done.status, result["identical"]) == (1, False)
    assert result["reasons"] == ["another model: echo in place of smollm2:135m"]
    after = agent.call("stats.get")
    assert [after[name] for name in ("sessions", "turns", "messages")] == [
        counted[name] for name in ("sessions", "turns", "messages")
    ]


def test_a_turn_without_a_seed_is_the_same_or_says_what_differed(agent: Home) -> None:
    turn = ask(agent, "What is the capital of France?")
    _, result = replay(agent, turn["turn_id"])
    assert (result["compared"], result["prompt"]) == ("loose", "same"), result
    told = any("without a seed" in reason for reason in result["reasons"])
    assert told == (result["replayed"]["text"] != turn["text"])


def test_a_later_turn_is_replayed_in_its_session_as_it_was(agent: Home) -> None:
    first = ask(agent, "-o", "seed=1", "My name is Ada. What is a prime number?")
    second = ask(agent, "-o", "seed=2", "--session", first["session_id"], "What did I ask?")
    ask(agent, "-o", "seed=3", "--session", first["session_id"], "And then?")
    assert replay(agent, first["session_id"])[1]["turn_id"] != second["turn_id"]
    done, result = replay(agent, second["turn_id"])
    assert (done.status, result["prompt"]) == (0, "same"), result


@pytest.mark.parametrize(
    ("message", "tool"),
    [("Create a.txt with the text hello", "write_file"), ("Run the command touch a.txt", "run_command")],
)
def test_what_was_done_is_not_done_again(agent: Home, tmp_path: Path, message: str, tool: str) -> None:
    turn = ask(agent, "--system", "Be brief.", "-o", "seed=5", "--approve", tool, message, cwd=tmp_path)
    assert [(call["tool"], call["ok"]) for call in turn["tool_calls"]] == [(tool, True)], turn
    (made,) = tmp_path.iterdir()
    made.unlink()
    done, result = replay(agent, turn["turn_id"])
    assert list(tmp_path.iterdir()) == []
    assert [(call["tool"], call["change"], call["recorded"]) for call in result["calls"]] == [(tool, "same", True)]
    assert (done.status, result["identical"]) == (0, True), result


def test_rated_turns_are_evaluated(home: Home) -> None:
    home.ask("run", "-m", "echo", "one two three")
    home.ask("feedback", "+1")
    home.ask("run", "-m", "echo", "four five six")
    home.ask("feedback", "-1")
    done = home.run("eval", "--json")
    report = json.loads(done.out)
    assert done.status == 0
    assert done.err.splitlines()[-1].endswith("100% alike")
    assert [(row["rating"], row["turns"], row["identical"]) for row in report["groups"]] == [(1, 1, 1), (-1, 1, 1)]
    assert "echo" in home.ask("stats")
    assert json.loads(home.ask("stats", "--json"))["feedback"] == [
        {"skill": "general-assistant", "model": "echo", "good": 1, "bad": 1}
    ]


@pytest.mark.parametrize("words", [("replay", "TURN"), ("eval", "--json")])
def test_ctrl_c_ends_it_in_the_daemon_too(home: Home, endpoint: Endpoint, words: tuple[str, ...]) -> None:
    child = home.start("run", "-m", "scripted/m", "--json", "hi")
    endpoint.next().end("hello")
    turn_id = json.loads(home.finish(child).out)["turn_id"]
    home.ask("feedback", "+1")
    child = home.start(*(turn_id if word == "TURN" else word for word in words))
    conversation = endpoint.next()
    conversation.say("hel")
    child.send_signal(signal.SIGINT)
    assert home.finish(child).status == 130
    assert conversation.left.wait(PATIENCE_S)
