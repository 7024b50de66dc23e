"""The daemon is killed at every step of an approval: nothing is lost, nothing runs twice."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.endpoint import Conversation, Endpoint
from tests.e2e.home import Home, kill, until
from tests.e2e.integrity import integrity
from tests.e2e.wire import Refused, Wire
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

KEY = "approval-1"


@dataclass
class Scene:
    """A turn whose model calls a command that leaves a line each time it runs."""

    home: Home
    endpoint: Endpoint
    #: What the client of the first daemon was sent.
    sent: list[dict[str, Any]] = field(default_factory=list)
    turn_id: str = ""

    @property
    def effects(self) -> int:
        """The number of times that the command has run."""
        file = self.home.work / "effect"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def ask(self, wire: Wire) -> int:
        """The request, the same each time."""
        return wire.request(
            "turn.start", message="do it", model="scripted/m", cwd=str(self.home.work), idempotency_key=KEY
        )  # fmt: skip

    def begin(self, wire: Wire, command: str = "echo ran >> effect") -> None:
        """The turn is there, and its model has called."""
        self.ask(wire)
        self.read(wire, "turn.started")
        self.turn_id = self.sent[-1]["params"]["turn_id"]
        self.endpoint.next().call("run_command", argv=["sh", "-c", command])

    def read(self, wire: Wire, method: str) -> dict[str, Any]:
        """The next notification of this name; all are kept."""
        while (message := wire.receive()) is not None:
            self.sent.append(message)
            if message.get("method") == method:
                params: dict[str, Any] = message["params"]
                return params
        raise ConnectionResetError("the daemon is gone")

    def read_to_the_end(self, wire: Wire) -> None:
        """All that the daemon still sent before it died."""
        self.sent.extend(wire.rest())


def answer(home: Home, approval_id: str, decision: str) -> None:
    """Answers from another connection; the daemon may die of it."""
    with home.connect() as other, contextlib.suppress(ConnectionError):
        other.call("approval.answer", approval_id=approval_id, decision=decision)


def told(conversation: Conversation) -> str:
    """The result that the model is shown."""
    last = conversation.messages[-1]
    assert last["role"] == "tool"
    return last["content"]


def goes_on(scene: Scene, decision: str | None, *, asked: str | None = None) -> dict[str, Any]:
    """The next daemon takes the turn up; a question is answered, once; the model is told, and answers."""
    home, endpoint = scene.home, scene.endpoint
    home.daemon()
    with home.connect() as wire:
        (turn,) = wire.call("turn.list", running=True)["turns"]
        assert turn["turn_id"] == scene.turn_id
        waiting = wire.call("approval.list")["approvals"]
        assert len(waiting) == (decision is not None)
        if decision is not None:
            assert turn["state"] == "waiting"
            assert waiting[0]["turn_id"] == scene.turn_id
            assert asked is None or waiting[0]["approval_id"] == asked
            answer(home, waiting[0]["approval_id"], decision)
        conversation = endpoint.next()
        assert ("did not allow" in told(conversation)) is (decision == "deny")
        conversation.end("all done")
        # The client that asked tries again under its key, and gets the turn from its start.
        notifications, result = wire.outcome(scene.ask(wire))
    assert (result["turn_id"], result["text"], result["finish_reason"]) == (scene.turn_id, "all done", "stop")
    assert [one["params"]["seq"] for one in notifications] == list(range(1, result["last_seq"] + 1))
    assert notifications[: len(scene.sent)] == scene.sent
    assert [one["method"] for one in notifications].count("turn.completed") == 1
    is_settled(scene, "completed")
    return result


def is_cut_off(scene: Scene) -> None:
    """Checks that nobody knows whether the call had its effect: the turn is interrupted, and the call not made
    again.
    """
    scene.home.daemon()
    with (
        scene.home.connect() as wire,
        pytest.raises(Refused, match=r"cut off .* had its effect is not known"),
    ):
        wire.outcome(scene.ask(wire))
    (call,) = scene.home.call("turn.show", turn_id=scene.turn_id)["tool_calls"]
    assert call["tool"] == "run_command"
    is_settled(scene, "interrupted")


def is_settled(scene: Scene, state: str) -> None:
    """One turn with one end, no question, and a session that takes the next message."""
    home = scene.home
    with home.connect() as wire:
        (turn,) = wire.call("turn.list")["turns"]
        assert (turn["turn_id"], turn["state"]) == (scene.turn_id, state)
        assert wire.call("approval.list")["approvals"] == []
        detail = wire.call("turn.show", turn_id=scene.turn_id)
        assert detail["turn"] == turn
        assert wire.call("turn.start", message="next", model="echo", session_id=turn["session_id"])["text"] == "next"
    served = scene.endpoint.served
    with home.connect() as wire, contextlib.suppress(Refused):
        assert wire.outcome(scene.ask(wire))[1]["turn_id"] == scene.turn_id
    assert scene.endpoint.served == served


@pytest.fixture
def scene(home: Home, endpoint: Endpoint) -> Scene:
    return Scene(home, endpoint)


def killed_at(scene: Scene, point: str, decision: str | None = None) -> str:
    """The daemon dies at this point, with the question answered if that is what it takes; the question's id."""
    daemon = scene.home.serve(environ={"AGENTGW_FAIL": f"{point}:1:kill"})
    asked = ""
    with scene.home.connect() as wire:
        scene.begin(wire)
        if decision is not None:
            asked = scene.read(wire, "turn.approval")["approval_id"]
            answer(scene.home, asked, decision)
        scene.read_to_the_end(wire)
    assert daemon.wait(PATIENCE_S) != 0
    return asked


@pytest.mark.parametrize(("decision", "effects"), [("allow_once", 1), ("deny", 0)])
@pytest.mark.parametrize("point", ["question-unstored", "question-stored"])
def test_before_anybody_saw_the_question(scene: Scene, point: str, decision: str, effects: int) -> None:
    killed_at(scene, point)
    assert "turn.approval" not in [one["method"] for one in scene.sent]
    if point == "question-unstored":
        # It has to be asked first.
        scene.home.daemon()
        with scene.home.connect() as wire:
            until(lambda: wire.call("approval.list")["approvals"], "it is asked")
    goes_on(scene, decision)
    assert scene.effects == effects


@pytest.mark.parametrize(("decision", "effects"), [("allow_once", 1), ("allow_session", 1), ("deny", 0)])
def test_while_the_question_is_open(scene: Scene, decision: str, effects: int) -> None:
    scene.home.daemon()
    with scene.home.connect() as wire:
        scene.begin(wire)
        asked = scene.read(wire, "turn.approval")
        scene.home.kill_daemon()
    goes_on(scene, decision, asked=asked["approval_id"])
    assert scene.effects == effects


def test_while_the_question_is_open_again_and_again(scene: Scene) -> None:
    home = scene.home
    home.daemon()
    with home.connect() as wire:
        scene.begin(wire)
        asked = scene.read(wire, "turn.approval")
        home.kill_daemon()
    for _ in range(3):
        home.daemon()
        with home.connect() as wire:
            (waiting,) = wire.call("approval.list")["approvals"]
            assert (waiting["approval_id"], waiting["expires_at"]) == (asked["approval_id"], asked["expires_at"])
        home.kill_daemon()
    goes_on(scene, "allow_once", asked=asked["approval_id"])
    assert scene.effects == 1


def test_a_restart_leaves_the_question_open_and_says_how_to_go_on(scene: Scene) -> None:
    home = scene.home
    child = home.start("run", "-m", "scripted/m", "--approve", "ask", "do it")
    scene.endpoint.next().call("run_command", argv=["sh", "-c", "echo ran >> effect"])
    with home.connect() as wire:
        (before,) = until(lambda: wire.call("approval.list")["approvals"], "it is asked")
    assert home.run("restart").status == 0
    done = home.finish(child)
    assert (done.status, done.out) == (75, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("agentgw: the daemon stops while the turn waits for an approval.")
    assert last.endswith(f"`agentgw attach {before['turn_id']}`")
    assert "1, of which 1 waits for an answer" in home.ask("status")
    (row,) = home.call("turn.list", running=True)["turns"]
    assert (row["turn_id"], row["state"]) == (before["turn_id"], "waiting")
    assert home.call("turn.show", turn_id=row["turn_id"])["turn"] == row
    watcher = home.start("attach", before["turn_id"])
    home.ask("approvals", "answer", before["approval_id"], "once")
    scene.endpoint.next().end("all done")
    assert home.finish(watcher).out == "all done\n"
    assert scene.effects == 1
    assert home.call("turn.list", running=True)["turns"] == []


@pytest.mark.parametrize(("decision", "effects"), [("allow_once", 1), ("allow_always", 1), ("deny", 0)])
def test_when_the_answer_is_stored_and_not_acknowledged(scene: Scene, decision: str, effects: int) -> None:
    killed_at(scene, "answer-stored", decision)
    scene.home.daemon()
    with scene.home.connect() as wire:
        assert wire.call("approval.list")["approvals"] == []
    conversation = scene.endpoint.next()
    assert ("did not allow" in told(conversation)) is (decision == "deny")
    conversation.end("all done")
    with scene.home.connect() as wire:
        assert wire.call("turn.attach", turn_id=scene.turn_id)["text"] == "all done"
    is_settled(scene, "completed")
    assert scene.effects == effects


def test_when_the_answer_is_acknowledged_and_the_call_has_not_begun(scene: Scene) -> None:
    scene.home.serve(environ={"AGENTGW_FAIL": "call-begins:1:hang"})
    with scene.home.connect() as wire:
        scene.begin(wire)
        asked = scene.read(wire, "turn.approval")["approval_id"]
        with scene.home.connect() as other:
            other.call("approval.answer", approval_id=asked, decision="allow_once")
        scene.home.kill_daemon()
    goes_on(scene, None)
    assert scene.effects == 1


def test_when_the_call_has_begun_and_does_not_run_yet(scene: Scene) -> None:
    killed_at(scene, "call-begun", "allow_once")
    is_cut_off(scene)
    assert scene.effects == 0


def test_while_the_call_runs(scene: Scene) -> None:
    home = scene.home
    os.mkfifo(home.work / "gate")
    home.daemon()
    with home.connect() as wire:
        scene.begin(wire, "echo ran >> effect; read _ < gate; echo again >> effect.later")
        answer(home, scene.read(wire, "turn.approval")["approval_id"], "allow_once")
        until(lambda: scene.effects, "the command runs")
        home.kill_daemon()
    is_cut_off(scene)
    # The program that it started goes on without it, as any program whose parent was killed.
    (home.work / "gate").write_text("go\n")
    assert scene.effects == 1


def test_when_the_call_has_run_and_its_result_is_not_stored(scene: Scene) -> None:
    killed_at(scene, "call-done", "allow_once")
    is_cut_off(scene)
    assert scene.effects == 1


def test_when_the_result_is_stored_and_the_model_was_not_told(scene: Scene) -> None:
    killed_at(scene, "call-ended", "allow_once")
    goes_on(scene, None)
    assert scene.effects == 1


def test_when_the_model_was_told_and_had_not_said_a_word(scene: Scene) -> None:
    scene.home.daemon()
    with scene.home.connect() as wire:
        scene.begin(wire)
        answer(scene.home, scene.read(wire, "turn.approval")["approval_id"], "allow_once")
        scene.read(wire, "turn.tool_result")
        scene.endpoint.next()
        scene.home.kill_daemon()
    goes_on(scene, None)
    assert scene.effects == 1


def test_when_all_was_said_and_the_end_is_not_stored(scene: Scene) -> None:
    home = scene.home
    home.serve(environ={"AGENTGW_FAIL": "turn-unended:1:kill"})
    with home.connect() as wire:
        scene.begin(wire)
        answer(home, scene.read(wire, "turn.approval")["approval_id"], "allow_once")
        conversation = scene.endpoint.next()
        conversation.say("halcyon")
        until(lambda: b"halcyon" in (home.path / "data" / "agentgw.db-wal").read_bytes(), "the log is written")
        conversation.end(" days")
        scene.read_to_the_end(wire)
    home.daemon()
    with home.connect() as wire, pytest.raises(Refused, match=r"cut off when the daemon ended$"):
        wire.outcome(scene.ask(wire))
    is_settled(scene, "interrupted")
    assert scene.effects == 1
    assert home.call("turn.show", turn_id=scene.turn_id)["text"].startswith("halcyon")


def is_asked_about(scene: Scene, session_id: str | None, content: str = "x") -> bool:
    """Tells whether a new turn's call is asked about; if so, it gets a no."""
    more = {} if session_id is None else {"session_id": session_id}
    # A file that is there may not be replaced unread.
    (scene.home.work / "a.txt").unlink(missing_ok=True)
    with scene.home.connect() as wire:
        request = wire.request("turn.start", message="again", model="scripted/m", cwd=str(scene.home.work), **more)
        scene.endpoint.next().call("write_file", path="a.txt", content=content)
        methods = []
        while (message := wire.receive())["method"] != "turn.tool_result":
            methods.append(message["method"])
            if message["method"] == "turn.approval":
                answer(scene.home, message["params"]["approval_id"], "deny")
        scene.endpoint.next().end("well")
        wire.outcome(request)
    return "turn.approval" in methods


@pytest.mark.parametrize(
    ("decision", "same_session", "other_session"),
    [("allow_once", True, True), ("allow_session", False, True), ("allow_always", False, False), ("deny", True, True)],
)
def test_an_answer_goes_as_far_after_a_kill_as_before(
    scene: Scene, decision: str, same_session: bool, other_session: bool
) -> None:
    home = scene.home
    home.daemon()
    with home.connect() as wire:
        scene.ask(wire)
        scene.turn_id = scene.read(wire, "turn.started")["turn_id"]
        scene.endpoint.next().call("write_file", path="a.txt", content="x")
        scene.read(wire, "turn.approval")
        home.kill_daemon()
    session_id = goes_on(scene, decision)["session_id"]
    assert (home.work / "a.txt").exists() is (decision != "deny")
    home.kill_daemon()
    home.daemon()
    assert is_asked_about(scene, session_id) is same_session
    assert is_asked_about(scene, None) is other_session
    assert is_asked_about(scene, session_id, content="y")


SERVER = Path(__file__).parents[1] / "tools" / "mcp" / "server.py"


def with_server(scene: Scene) -> str:
    """A configuration with an MCP server."""
    return f"{scene.endpoint.config}[mcp.servers.odd]\ncommand = '{sys.executable}'\nargs = ['{SERVER}']\n"


def asked_about_a_server(scene: Scene) -> None:
    """The daemon is killed while it asks about a call of an MCP server's tool."""
    scene.home.configure(with_server(scene))
    scene.home.daemon()
    with scene.home.connect() as wire:
        scene.ask(wire)
        scene.turn_id = scene.read(wire, "turn.started")["turn_id"]
        scene.endpoint.next().call("odd__misbehave", how="text")
        scene.read(wire, "turn.approval")
        scene.home.kill_daemon()


def test_a_server_that_is_still_there_gets_its_call(scene: Scene) -> None:
    asked_about_a_server(scene)
    result = goes_on(scene, "allow_once")
    assert [(call["tool"], call["ok"]) for call in result["tool_calls"]] == [("odd__misbehave", True)]


def test_a_server_that_is_no_longer_there_ends_the_turn_with_that(scene: Scene) -> None:
    asked_about_a_server(scene)
    scene.home.configure(scene.endpoint.config)
    scene.home.daemon()
    with scene.home.connect() as wire, pytest.raises(Refused, match="the tool odd__misbehave, which"):
        wire.outcome(scene.ask(wire))
    is_settled(scene, "failed")


def test_a_model_that_is_no_longer_there_ends_the_turn_with_that(scene: Scene) -> None:
    scene.home.daemon()
    with scene.home.connect() as wire:
        scene.begin(wire)
        scene.read(wire, "turn.approval")
        scene.home.kill_daemon()
    scene.home.configure("")
    scene.home.daemon()
    with scene.home.connect() as wire, pytest.raises(Refused, match="scripted"):
        wire.call("turn.attach", turn_id=scene.turn_id)
    is_settled(scene, "failed")
    assert scene.effects == 0


def write_skill(home: Home, name: str, **metadata: str) -> None:
    folder = home.path / "config" / "skills" / name
    folder.mkdir(parents=True)
    lines = [f"  {key}: {value}" for key, value in metadata.items()]
    front = [f"name: {name}", f"description: Is {name}.", *(["metadata:", *lines] if lines else [])]
    (folder / "SKILL.md").write_text("\n".join(["---", *front, "---", "Work.", ""]))


def test_an_agent_that_works_for_another_is_asked_about_after_a_kill(scene: Scene) -> None:
    home, endpoint = scene.home, scene.endpoint
    write_skill(home, "boss", **{"agentgw-sub-agents": "hand"})
    write_skill(home, "hand")
    home.daemon()
    ask = {"message": "do it", "model": "scripted/m", "skill": "boss", "cwd": str(home.work), "detach": True}
    with home.connect() as wire:
        turn_id = wire.call("turn.start", **ask)["turn_id"]
        endpoint.next().call("delegate_to_agent", skill="hand", task="leave a line")
        endpoint.next().call("run_command", argv=["sh", "-c", "echo ran >> effect"])
        (before,) = until(lambda: wire.call("approval.list")["approvals"], "it is asked")
        home.kill_daemon()
    home.daemon()
    with home.connect() as wire:
        assert wire.call("approval.list")["approvals"] == [before]
        wire.call("approval.answer", approval_id=before["approval_id"], decision="allow_once")
        endpoint.next().end("it is there")
        boss = endpoint.next()
        assert told(boss) == "it is there"
        boss.end("all done")
        result = wire.call("turn.attach", turn_id=turn_id)
        assert (result["text"], scene.effects) == ("all done", 1)
        assert wire.call("turn.list", running=True)["turns"] == []
        assert len(wire.call("turn.list")["turns"]) == 2


CALLS = 3


def speak(endpoint: Endpoint) -> None:
    """The model: as many calls as there are, one after the other, and then the answer. Ends with the test."""
    while True:
        conversation = endpoint.next()
        made = sum(message["role"] == "tool" for message in conversation.messages)
        if conversation.messages[-1]["content"] == "stop":
            return conversation.end("stopped")
        if made < CALLS:
            conversation.call("run_command", argv=["sh", "-c", f"echo {made} >> effects"])
        else:
            conversation.end("all done")


def allow_all(home: Home) -> None:
    """Says yes to everything, once, until the daemon is gone."""
    with contextlib.suppress(OSError), home.connect() as wire:
        wire.call("event.subscribe", topics=["approvals"])
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            for approval in wire.call("approval.list")["approvals"]:
                with contextlib.suppress(Refused):
                    wire.call("approval.answer", approval_id=approval["approval_id"], decision="allow_once")
            if not wire.call("turn.list", running=True)["turns"]:
                return


def survive_kills_in_approvals(home: Home, endpoint: Endpoint, turns: int) -> Counter[str]:
    """Kills each turn's daemon at random moments until the turn has ended; gives how the turns ended."""
    draw, ends = random.Random(7), Counter[str]()
    model = threading.Thread(target=speak, args=(endpoint,))
    model.start()
    for number in range(turns):
        (home.work / "effects").unlink(missing_ok=True)
        ask = {"message": f"turn {number}", "model": "scripted/m", "cwd": str(home.work), "detach": True}
        pid = home.daemon()
        with home.connect() as wire:
            turn_id = wire.call("turn.start", **ask)["turn_id"]
        turn = None
        while turn is None or turn["state"] in ("queued", "running", "waiting"):
            people = threading.Thread(target=allow_all, args=(home,))
            people.start()
            # A turn that goes on takes some tenths of a second.
            people.join(draw.uniform(0.0, 0.5))
            # By its pid: a child that it has just forked has its name.
            kill(pid)
            ends["kills"] += 1
            people.join(PATIENCE_S)
            assert not people.is_alive()
            pid = home.daemon()
            turn = home.call("turn.show", turn_id=turn_id)["turn"]
            assert ends["kills"] < 100 * (number + 1), "the turn does not end"
        ends[turn["state"]] += 1
        made = (home.work / "effects").read_text().split() if (home.work / "effects").exists() else []
        assert made == sorted(set(made)), "nothing runs twice, and nothing out of turn"
        with home.connect() as wire:
            assert wire.call("approval.list")["approvals"] == []
            assert wire.call("turn.start", message="n", model="echo", session_id=turn["session_id"])["text"] == "n"
            detail = wire.call("turn.show", turn_id=turn_id)
        if turn["state"] == "completed":
            assert (detail["text"], made) == ("all done", ["0", "1", "2"])
        else:
            assert turn["state"] == "interrupted"
        stored = [call["call_id"] for call in detail["tool_calls"]]
        assert stored == sorted(set(stored))
        assert integrity(home) == "ok"
    home.call("turn.start", message="stop", model="scripted/m", tools=[])
    model.join(PATIENCE_S)
    return ends


def test_kills_at_random_moments_of_approvals_run_nothing_twice(home: Home, endpoint: Endpoint) -> None:
    ends = survive_kills_in_approvals(home, endpoint, 5)
    assert ends["completed"] + ends["interrupted"] == 5


@pytest.mark.chaos
def test_many_kills_at_random_moments_of_approvals(home: Home, endpoint: Endpoint, chaos: Callable[[int], int]) -> None:
    ends = survive_kills_in_approvals(home, endpoint, chaos(200))
    print(ends)
    assert ends["completed"] > 0
