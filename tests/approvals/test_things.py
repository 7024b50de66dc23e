"""A yes is about the things that were shown: changed ones are asked about, by whatever door the yes came."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.errors import ApprovalDenied
from agentgw.protocol.events import TurnApproval, TurnToolResult
from agentgw.protocol.types import Approval
from agentgw_daemon.approvals.digest import digest_of
from agentgw_daemon.approvals.queue import ApprovalQueue
from agentgw_daemon.tools.builtins.run_command import RUN_COMMAND
from agentgw_daemon.tools.builtins.write_file import WRITE_FILE
from agentgw_daemon.tools.tool import CallFailed, CallPreview, FunctionTool, ToolContext, ToolSpec, check_agreed
from agentgw_daemon.turns import manager
from tests.agent.delegating import task, team
from tests.agent.scripted import furnish, script
from tests.fakes import change
from tests.polling import pause
from tests.turns.house import House, house
from tests.turns.questions import Killed, open_question, taken_up

pytestmark = pytest.mark.anyio

ACT = [("act", {"text": "x"})]


class Thing:
    """Something that a call is about, and a tool that acts on it."""

    def __init__(self, state: str = "one") -> None:
        self.state = state
        self.done: list[str] = []
        self.gone = False
        parameters = {"type": "object", "properties": {"text": {"type": "string"}}}
        spec = ToolSpec(name="act", description="acts", parameters=parameters, effect="write")
        self.tool = FunctionTool(spec, self._run, self._describe)

    async def _describe(self, arguments: Mapping[str, Any], context: ToolContext) -> CallPreview:
        await trio.lowlevel.checkpoint()
        if self.gone:
            raise CallFailed("it is gone")
        return CallPreview(title="act", things=(self.state,))

    async def _run(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        await trio.lowlevel.checkpoint()
        check_agreed(context, (self.state,))
        self.done.append(self.state)
        return "done"


async def question(h: House, *, but: str = "") -> Approval:
    """The next question that is not the one of this id."""
    while True:
        for approval in h.services.approvals.list():
            if approval.approval_id != but:
                return approval
        await pause()


@asynccontextmanager
async def room(folder: Path, thing: Thing, *steps: Any) -> AsyncIterator[House]:
    async with house(folder, script(*steps)) as h:
        h.tools = {"act": thing.tool}
        yield h


async def test_what_was_changed_before_the_answer_is_asked_about_again(tmp_path: Path) -> None:
    thing = Thing()
    async with room(tmp_path, thing, ACT, "done") as h:
        turn = await h.start()
        first = await question(h)
        thing.state = "two"
        await h.services.approvals.answer(first.approval_id, "allow_once")
        second = await question(h, but=first.approval_id)
        assert thing.done == []
        assert second.details == ("asked again: what the call is about was changed after the answer",)
        await h.services.approvals.answer(second.approval_id, "allow_once")
        await turn.wait_outcome()
        assert thing.done == ["two"]
        assert sum(isinstance(event, TurnApproval) for event in turn.log.events) == 2


@pytest.mark.parametrize("decision", ["allow_session", "allow_always"])
async def test_a_standing_yes_holds_for_the_same_things_alone(tmp_path: Path, decision: Any) -> None:
    thing = Thing()
    async with room(tmp_path, thing, ACT, "done", ACT, "done", ACT, "done") as h:
        turn = await h.start()
        await h.services.approvals.answer((await question(h)).approval_id, decision)
        await turn.wait_outcome()
        await (await h.start(session_id=turn.session_id)).wait_outcome()
        assert thing.done == ["one", "one"]
        thing.state = "two"
        change(h.services, approvals=ApprovalQueue(h.database, h.services.hub, timeout_s=0.01))
        assert isinstance(await (await h.start(session_id=turn.session_id)).wait_outcome(), ApprovalDenied)
        assert thing.done == ["one", "one"]


async def test_a_tool_that_is_allowed_by_name_is_allowed_whatever_it_is_about(tmp_path: Path) -> None:
    thing = Thing()
    async with room(tmp_path, thing, ACT, "done", ACT, "done") as h:
        await h.ask(approvals=("act",))
        thing.state = "two"
        await h.ask(approvals=("act", "deny"))
        assert thing.done == ["one", "two"]


async def test_what_cannot_be_done_any_more_after_the_answer_is_told_and_not_done(tmp_path: Path) -> None:
    thing = Thing()
    async with room(tmp_path, thing, ACT, "done") as h:
        turn = await h.start()
        asked = await question(h)
        thing.gone = True
        await h.services.approvals.answer(asked.approval_id, "allow_once")
        await turn.wait_outcome()
        assert thing.done == []
        (told,) = [event for event in turn.log.events if isinstance(event, TurnToolResult)]
        assert (told.ok, told.content, told.denied) == (False, "it is gone", None)


async def test_what_changes_all_the_time_is_given_up(tmp_path: Path) -> None:
    thing = Thing("0")
    async with room(tmp_path, thing, ACT, "done") as h:
        turn = await h.start()
        last = ""
        for n in range(5):
            asked = await question(h, but=last)
            thing.state, last = str(n + 1), asked.approval_id
            await h.services.approvals.answer(asked.approval_id, "allow_always")
        await turn.wait_outcome()
        assert thing.done == []
        (told,) = [event for event in turn.log.events if isinstance(event, TurnToolResult)]
        assert "changes all the time" in told.content


@pytest.mark.parametrize("answered", [True, False])
async def test_a_turn_that_is_taken_up_compares_the_things_again(
    killed: Killed, answered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if answered:
        # As with a slow MCP server: the daemon serves before the turn is back at its call.
        monkeypatch.setattr(manager, "_BACK_AT_QUESTIONS_S", 0.0)
    thing = Thing()
    async with killed.first(ACT, "never") as h:
        h.tools = {"act": thing.tool}
        await h.start()
        asked = await open_question(h)
        killed.kill()
    thing.state = "two"
    async with killed.next("done") as (h, _):
        h.tools = {"act": thing.tool}
        turn = await taken_up(h)
        if answered:
            await h.services.approvals.answer(asked.approval_id, "allow_once")
        again = await question(h, but=asked.approval_id)
        assert thing.done == []
        await h.services.approvals.answer(again.approval_id, "allow_once")
        await turn.wait_outcome()
        assert thing.done == ["two"]


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    return Killed(tmp_path)


async def test_a_rule_of_an_earlier_version_lacks_the_things_and_does_not_match(tmp_path: Path) -> None:
    thing = Thing()
    async with room(tmp_path, thing, ACT, "done", ACT, "done") as h:
        turn = await h.start()
        await h.services.approvals.answer((await question(h)).approval_id, "allow_always")
        await turn.wait_outcome()
        # As it was computed before there were things: of the tool, the arguments and the directory.
        (rule,) = await h.database.approvals.rules()
        old = digest_of(rule.tool, rule.arguments, rule.cwd)

        def age(db: Any) -> None:
            db.execute("UPDATE approval_rules SET digest = ?", (old,))

        await h.database.approvals._runner.write(age)
        change(h.services, approvals=ApprovalQueue(h.database, h.services.hub, timeout_s=0.01))
        assert isinstance(await (await h.start()).wait_outcome(), ApprovalDenied)
        assert len(await h.database.approvals.rules()) == 1, "it is still listed, and can be revoked"


async def test_a_childs_call_is_asked_about_again_too(tmp_path: Path) -> None:
    thing = Thing()
    async with team(tmp_path, boss=[task("worker"), "done"], worker=[ACT, "did"]) as h:
        h.tools = {"act": thing.tool}
        turn = await h.start(skill="boss")
        first = await question(h)
        thing.state = "two"
        await h.services.approvals.answer(first.approval_id, "allow_once")
        second = await question(h, but=first.approval_id)
        await h.services.approvals.answer(second.approval_id, "deny")
        await turn.wait_outcome()
        assert thing.done == []


async def test_nobody_is_asked_about_what_the_tool_refuses(tmp_path: Path) -> None:
    steps = [[("write_file", {"path": path, "content": "x"})] for path in ("/etc/x", "a.key", "new/.git/hooks/x")]
    steps += [[("run_command", {"argv": ["no-such-program"]})], [("run_command", {"argv": ["ls"], "cwd": "/"})]]
    async with house(tmp_path, script(*steps, "done")) as h:
        h.tools = {"write_file": WRITE_FILE, "run_command": RUN_COMMAND}
        turn = await h.start(cwd=str(tmp_path))
        await turn.wait_outcome()
        assert not [event for event in turn.log.events if isinstance(event, TurnApproval)]
        told = [event for event in turn.log.events if isinstance(event, TurnToolResult)]
        assert [event.ok for event in told] == [False] * 5
        assert not (tmp_path / "new").exists()


async def test_a_program_that_is_exchanged_while_somebody_thinks_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    tool = tmp_path / "work/tool"
    tool.write_text("#!/bin/sh\necho one\n")
    tool.chmod(0o700)
    async with house(tmp_path, script([("run_command", {"argv": ["./tool"]})], "done")) as h:
        furnish(h)
        change(h.services.started, environ={"HOME": "/", "PATH": os.environ["PATH"]})
        h.tools = {"run_command": RUN_COMMAND}
        turn = await h.start(cwd=str(tmp_path / "work"))
        first = await question(h)
        tool.write_text("#!/bin/sh\ntouch evil\n")
        await h.services.approvals.answer(first.approval_id, "allow_once")
        second = await question(h, but=first.approval_id)
        await h.services.approvals.answer(second.approval_id, "deny")
        await turn.wait_outcome()
        assert not (tmp_path / "work/evil").exists()
