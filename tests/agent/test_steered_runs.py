"""Words that the user adds while a turn runs: the model is shown them before its next step, whichever way it works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.turns import TurnReplayParams
from agentgw.protocol.errors import NotFound, Overloaded
from agentgw.protocol.events import TurnSteered
from agentgw_daemon.events.steering import MOST_WAITING
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, TextDelta, ToolCallingMode, as_mapping
from agentgw_daemon.tool_calling.formats import PLAIN, Format, choose
from agentgw_daemon.turns.replay.run import replay
from tests.agent.scripted import CHANGE, LOOK, furnish, script
from tests.polling import pause
from tests.turns.house import House, Script, ended, finished, house
from tests.turns.questions import Killed, open_question, taken_up
from tests.workers.model.template.templates import HERMES

pytestmark = pytest.mark.anyio

CALL = '<tool_call>{"name": "look", "arguments": {"text": "a"}}</tool_call>'


def steered_in(h: House, step: int, *answers: str) -> Script:
    """A model that writes these, an answer a step; in one of them the user says more."""
    left = list(enumerate(answers))

    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        await trio.lowlevel.checkpoint()
        number, text = left.pop(0)
        if number == step:
            h.turns.steer(h.turns.running[0].turn_id, "in blue")
        yield TextDelta(texts=(text,))
        yield finished()

    return speak


def calls_by(h: House, form: Format | None, *, narrow: bool = False) -> None:
    h.engine.mode = ToolCallingMode(format=form, narrow=narrow)


def shown(h: House) -> list[dict[str, Any]]:
    return [as_mapping(message) for message in h.engine.requests[-1].messages]


@pytest.mark.parametrize(
    ("form", "narrow", "answers", "step", "roles"),
    [
        (None, False, ("It is red.", "It is blue."), 0, ["assistant", "user"]),
        (choose(HERMES, takes_tools=True), False, (CALL, "It is blue."), 0, ["tool", "user"]),
        (choose(HERMES, takes_tools=True), False, (CALL, "It is red.", "It is blue."), 1, ["assistant", "user"]),
        (PLAIN, False, (LOOK, '{"tool":"answer"}', "It is blue."), 0, ["assistant", "user"]),
        (PLAIN, True, (LOOK, "It is blue."), 0, ["system", "user"]),
    ],
    ids=["no tools", "after a call", "after an answer", "led by schemas", "weak"],
)
async def test_the_model_is_shown_the_words_before_its_next_step(
    tmp_path: Path, form: Format | None, narrow: bool, answers: tuple[str, ...], step: int, roles: list[str]
) -> None:
    async with house(tmp_path) as h:
        h.engine.script = steered_in(h, step, *answers)
        if form is not None:
            furnish(h)
            calls_by(h, form, narrow=narrow)
        turn = await h.start("look at it", tools=("look",) if form else None)
        result = await ended(turn)
        assert result.text.endswith("It is blue.")
        assert len(h.engine.requests) == len(answers)
        messages = shown(h)
        assert any("in blue" in str(one["content"]) for one in messages)
        assert [one["role"] for one in messages[-2:]] == roles
        assert sum(isinstance(event, TurnSteered) for event in turn.log.events) == 1


async def test_the_words_are_the_users_in_the_session_and_in_the_next_prompt(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.engine.script = steered_in(h, 0, "Red.", "Blue.", "Yes.")
        first = await ended(await h.start("which colour?"))
        assert first.text == "Red.\n\nBlue."
        detail = await h.database.turns.detail(first.turn_id)
        assert (detail.message, detail.text) == ("which colour?", "Red.\n\nBlue.")
        assert [step.steered for step in detail.steps] == [("in blue",), ()]
        await ended(await h.start("sure?", session_id=first.session_id))
        said = [(one["role"], one["content"]) for one in shown(h)][-3:]
        assert said == [
            ("user", "which colour?\n\nin blue"),
            ("assistant", "Red.\n\nBlue."),
            ("user", "sure?"),
        ]


async def test_a_replay_hears_the_words_where_they_came(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.engine.script = steered_in(h, 0, "Red.", "Blue.", "Red.", "Blue.")
        first = await ended(await h.start("which colour?"))

        async def tell(event: object) -> None:
            await trio.lowlevel.checkpoint()

        again = await replay(h.services, TurnReplayParams(turn_id=first.turn_id), tell)
        assert again.replayed.text == "Red.\n\nBlue."
        assert again.identical


async def test_words_on_the_last_step_are_still_answered(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        h.engine.script = steered_in(h, 0, "Red.", "Blue.")
        result = await ended(await h.start("which colour?", max_iterations=1))
        assert (result.text, result.finish_reason) == ("Red.\n\nBlue.", "stop")


async def test_a_turn_that_is_over_takes_no_words(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        ended = await h.ask()
        with pytest.raises(NotFound, match="is over"):
            h.turns.steer(ended.turn_id, "more")


async def test_more_words_than_anybody_says_are_refused(tmp_path: Path) -> None:
    async with house(tmp_path, script(CHANGE, "done")) as h:
        furnish(h)
        turn = await h.start("do it")
        await open_question(h)
        for _ in range(MOST_WAITING):
            h.turns.steer(turn.turn_id, "more")
        with pytest.raises(Overloaded):
            h.turns.steer(turn.turn_id, "more")
        turn.cancel()
        await turn.wait_outcome()
        with pytest.raises(NotFound):
            h.turns.steer(turn.turn_id, "more")


async def test_words_outlive_the_daemon_with_the_question_that_the_turn_waits_for(tmp_path: Path) -> None:
    killed = Killed(tmp_path)
    async with killed.first(CHANGE, "never") as h:
        furnish(h)
        turn = await h.start("do it")
        await open_question(h)
        h.turns.steer(turn.turn_id, "in blue")
        while not await h.database.log.read(turn.turn_id, turn.log.last_seq):
            await pause()
        killed.kill()
    async with killed.next("done") as (h, _):
        turn = await taken_up(h)
        (asked,) = h.services.approvals.list()
        await h.services.approvals.answer(asked.approval_id, "allow_once")
        assert (await ended(turn)).text == "done"
        assert shown(h)[-1] == {"role": "user", "content": "in blue"}
