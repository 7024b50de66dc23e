"""Every way through the loop with a scripted model: calls as text, calls led by schemas, calls that are none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import ApprovalDenied, ModelUnavailable
from agentgw.protocol.events import TurnDelta, TurnToolCall, TurnToolResult
from agentgw.protocol.types import Options, ToolCall
from agentgw_daemon.agent.tool_runner import MOST_CALLS, MOST_RESULT_CHARACTERS
from agentgw_daemon.inference.engine import EngineEvent, GenerationRequest, TextDelta, ToolCallingMode, as_mapping
from agentgw_daemon.tool_calling.formats import PLAIN, Format, choose
from agentgw_daemon.tools.tool import CallFailed, CallPreview, FunctionTool, ToolContext, ToolSpec
from tests.agent.delegating import skill
from tests.agent.scripted import LOOK, answered, furnish, script, tool
from tests.polling import pause, until
from tests.turns.house import House, Script, finished, house
from tests.workers.model.template.templates import HERMES

pytestmark = pytest.mark.anyio

NATIVE = choose(HERMES, takes_tools=True)


def writes(*answers: str) -> Script:
    """A model that writes these, an answer a step, a character at a time."""
    left = list(answers)

    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        await trio.lowlevel.checkpoint()
        for one in left.pop(0) if len(left) > 1 else left[0]:
            yield TextDelta(texts=(one,))
        yield finished()

    return speak


def calls_by(h: House, form: Format, *, narrow: bool = False) -> None:
    async def tool_calling() -> ToolCallingMode:
        return ToolCallingMode(format=form, narrow=narrow)

    h.engine.tool_calling = tool_calling  # type: ignore[method-assign]  # another model


def told(h: House, step: int = -1) -> list[dict[str, Any]]:
    """The messages that the model was shown for a step."""
    return [as_mapping(message) for message in h.engine.requests[step].messages]


async def shown(h: House, message: str = "hi", **params: Any) -> tuple[TurnResult, str, str]:
    """A turn's result, and what its watchers saw of the answer and of the reasoning."""
    turn = await h.start(message, **params)
    outcome = await turn.wait_outcome()
    assert isinstance(outcome, TurnResult), outcome
    deltas = [event for event in turn.log.events if isinstance(event, TurnDelta)]
    texts = ["".join(one.text for one in deltas if one.channel == channel) for channel in ("answer", "reasoning")]
    return outcome, texts[0], texts[1]


async def test_a_call_in_the_models_own_words_is_made_and_never_shown(tmp_path: Path) -> None:
    call = '<think>hm</think>I look.\n<tool_call>{"name": "look", "arguments": {"text": "a"}}</tool_call>'
    async with house(tmp_path, writes(call, "It is red.")) as h:
        done = furnish(h)
        calls_by(h, NATIVE)
        result, answer, reasoning = await shown(h)
        assert done == ["look a"]
        assert (result.text, answer, reasoning) == ("I look.\nIt is red.", "I look.\nIt is red.", "hm")
        assert [message["role"] for message in told(h)[-2:]] == ["assistant", "tool"]
        assert h.engine.requests[0].special
        assert [one["function"]["name"] for one in h.engine.requests[0].tools] == ["look", "change", "post"]


async def test_a_malformed_call_goes_back_as_an_error_beside_the_ones_that_were_made(tmp_path: Path) -> None:
    good = '<tool_call>{"name": "look", "arguments": {"text": "a"}}</tool_call>'
    bad = "<tool_call>{'name': 'look'}</tool_call>"
    async with house(tmp_path, writes(bad, good + bad, "done")) as h:
        done = furnish(h)
        calls_by(h, NATIVE)
        result, answer, _ = await shown(h)
        assert (result.text.strip(), answer.strip(), done) == ("done", "done", ["look a"])
        assert "That was not a valid tool call" in told(h, 1)[-1]["content"]
        assert [message["role"] for message in told(h)[-4:]] == ["assistant", "tool", "assistant", "user"]
        assert [call.ok for call in result.tool_calls] == [True], "what is no call is not stored as one"


async def test_a_model_that_writes_only_broken_calls_runs_out_of_steps(tmp_path: Path) -> None:
    async with house(tmp_path, writes("<tool_call>{</tool_call>")) as h:
        furnish(h)
        calls_by(h, NATIVE)
        result, answer, _ = await shown(h, max_iterations=3)
        assert (result.finish_reason, answer, len(h.engine.requests)) == ("iteration_limit", "", 3)


async def test_a_model_led_by_schemas_calls_hears_and_answers(tmp_path: Path) -> None:
    async with house(tmp_path, writes(LOOK, '{"tool":"answer"}', "It is red.")) as h:
        done = furnish(h)
        calls_by(h, PLAIN)
        result, answer, _ = await shown(h)
        assert (result.text, answer, done) == ("It is red.", "It is red.", ["look a"])
        first, second, last = h.engine.requests
        assert first.schema == second.schema
        assert first.schema is not None
        assert (last.schema, last.tools) == (None, ())
        assert (first.options.temperature, last.options.temperature) == (0.0, 0.3), "a call is written greedily"
        assert "You have tools:" in told(h, 0)[0]["content"]
        assert "did a" in told(h, 1)[-1]["content"]


async def test_a_call_that_is_cut_off_twice_ends_the_calling(tmp_path: Path) -> None:
    async with house(tmp_path, writes('{"tool":"look","argu', '{"tool":"look","argu', "I cannot.")) as h:
        done = furnish(h)
        calls_by(h, PLAIN)
        result, _, _ = await shown(h)
        assert (result.text, done, len(h.engine.requests)) == ("I cannot.", [], 3)


async def test_a_weak_model_is_led_to_the_one_tool_that_was_named_and_calls_once(tmp_path: Path) -> None:
    async with house(tmp_path, writes(LOOK, "It is red.")) as h:
        done = furnish(h)
        calls_by(h, PLAIN, narrow=True)
        result, answer, _ = await shown(h, "look at it", tools=("look",))
        assert (result.text, answer, done) == ("It is red.", "It is red.", ["look a"])
        assert told(h, 0)[0]["content"].startswith("Write the call for the request.")
        assert "This is the result of look:\ndid a" in told(h)[-1]["content"]


async def test_a_weak_model_passes_on_what_an_agent_answered_without_chance_and_penalty(tmp_path: Path) -> None:
    call = '{"tool":"delegate_to_agent","arguments":{"skill":"worker","task":"count to three"}}'
    async with house(tmp_path, writes(call, "1 2 3", "1 2 3")) as h:
        h.skills = {one.name: one for one in (skill("boss", "worker"), skill("worker"))}
        calls_by(h, PLAIN, narrow=True)
        result, answer, _ = await shown(h, "Ask worker to count to three", skill="boss")
        assert (result.text, answer, result.tool_calls[0].content) == ("1 2 3", "1 2 3", "1 2 3")
        last = h.engine.requests[-1]
        assert told(h)[-1]["content"] == "worker answered:\n1 2 3"
        assert last.options == Options(temperature=0.0, repeat_penalty=1.0, max_tokens=34)


@pytest.mark.parametrize("params", [{}, {"tools": ()}, {"message": "look\nat it", "tools": ("look",)}])
async def test_a_weak_model_to_which_nothing_was_named_just_answers(tmp_path: Path, params: dict[str, Any]) -> None:
    async with house(tmp_path, writes("Hello.")) as h:
        done = furnish(h)
        calls_by(h, PLAIN, narrow=True)
        result, _, _ = await shown(h, params.pop("message", "look at it"), **params)
        assert (result.text, done, len(h.engine.requests)) == ("Hello.", [], 1)


async def test_an_engine_that_fails_after_a_call_fails_the_turn_and_keeps_the_call(tmp_path: Path) -> None:
    async def speak(request: GenerationRequest) -> AsyncIterator[EngineEvent]:
        if as_mapping(request.messages[-1])["role"] == "tool":
            raise ModelUnavailable("the model is gone")
        async for event in script([("look", {"text": "a"})])(request):
            yield event

    async with house(tmp_path, speak) as h:
        furnish(h)
        turn = await h.start()
        assert isinstance(await turn.wait_outcome(), ModelUnavailable)
        (call,) = (await h.database.turns.detail(turn.turn_id)).tool_calls
        assert (call.ok, call.content) == (True, "did a")


class Slow:
    """Tools that stay until as many of them run as the call says."""

    def __init__(self, h: House, **effects: str) -> None:
        self.log: list[str] = []
        self.inside = 0
        h.tools = {name: self._tool(name, effect) for name, effect in effects.items()}

    def _tool(self, name: str, effect: Any) -> FunctionTool:
        async def run(arguments: Any, context: ToolContext) -> str:
            self.inside += 1
            self.log.append(f"+{name}{arguments['n']}")
            while self.inside < arguments.get("with", 1):
                await trio.lowlevel.checkpoint()
            for _ in range(10 * arguments.get("slow", 0)):
                await trio.lowlevel.checkpoint()
            self.log.append(f"-{name}{arguments['n']}")
            self.inside -= 1
            return f"{name}{arguments['n']}"

        async def describe(arguments: Any, context: ToolContext) -> CallPreview:
            await trio.lowlevel.checkpoint()
            if arguments["n"] < 0:
                raise CallFailed("that cannot be changed")
            return CallPreview(title=name)

        parameters = {"type": "object", "properties": {"n": {"type": "integer"}}}
        return FunctionTool(ToolSpec(name=name, description=name, parameters=parameters, effect=effect), run, describe)


async def test_calls_that_only_read_are_made_side_by_side_and_told_in_their_order(tmp_path: Path) -> None:
    calls = [("read", {"n": n, "slow": 3 - n, "with": 3 - n}) for n in range(3)]
    async with house(tmp_path, script(calls, "done")) as h:
        slow = Slow(h, read="read")
        result, _, _ = await shown(h)
        assert {*slow.log[:3]} == {"+read0", "+read1", "+read2"}, "none waits for another to end"
        assert [call.content for call in result.tool_calls] == ["read0", "read1", "read2"]
        assert [message["content"] for message in told(h)[-3:]] == ["read0", "read1", "read2"]


async def test_what_changes_something_waits_for_what_was_called_before_it_and_holds_what_comes_after(
    tmp_path: Path,
) -> None:
    calls = [("read", {"n": 0, "slow": 2}), ("read", {"n": 1}), ("write", {"n": 2, "slow": 2}), ("read", {"n": 3})]
    async with house(tmp_path, script(calls, "done")) as h:
        slow = Slow(h, read="read", write="write")
        await shown(h, approvals=("write",))
        assert {*slow.log[:4]} == {"+read0", "+read1", "-read0", "-read1"}
        assert slow.log[4:] == ["+write2", "-write2", "+read3", "-read3"]


async def test_calls_that_go_round_in_a_circle_are_told_so(tmp_path: Path) -> None:
    a, b = [("look", {"text": "a"})], [("look", {"text": "b"})]
    async with house(tmp_path, script(a, b, a, b, "done")) as h:
        done = furnish(h)
        result, _, _ = await shown(h)
        assert done == ["look a", "look b", "look a"]
        assert "repeat each other" in told(h)[-1]["content"]
        assert result.text == "done"


async def test_more_calls_in_a_step_than_anybody_needs_are_not_made(tmp_path: Path) -> None:
    calls = [("look", {"text": str(n)}) for n in range(MOST_CALLS + 2)]
    async with house(tmp_path, script(calls, "done")) as h:
        done = furnish(h)
        await shown(h)
        assert len(done) == MOST_CALLS
        assert [message["content"] for message in told(h)[-2:]] == [
            f"error: more than {MOST_CALLS} calls in one step: make fewer"
        ] * 2


async def test_a_long_result_is_cut_for_the_model_and_whole_for_the_record(tmp_path: Path) -> None:
    text = "x" * (MOST_RESULT_CHARACTERS + 500)
    async with house(tmp_path, script([("look", {"text": text})], "done")) as h:
        furnish(h)
        result, _, _ = await shown(h)
        assert told(h)[-1]["content"].endswith("\n[the rest is left out: ask for less]")
        assert len(told(h)[-1]["content"]) < MOST_RESULT_CHARACTERS + 100
        assert result.tool_calls[0].content == f"did {text}"


async def test_nobody_is_asked_about_a_call_that_cannot_succeed(tmp_path: Path) -> None:
    async with house(tmp_path, script([("write", {"n": -1})], "done")) as h:
        slow = Slow(h, write="write")
        turn = await h.start()
        assert isinstance(await turn.wait_outcome(), TurnResult)
        assert slow.log == []
        (result,) = [event for event in turn.log.events if isinstance(event, TurnToolResult)]
        assert (result.ok, result.content) == (False, "that cannot be changed")
        assert not any(event.method == "turn.approval" for event in turn.log.events)


async def test_a_yes_for_the_session_is_for_that_call_alone_and_for_later_turns(tmp_path: Path) -> None:
    x, y = [("change", {"text": "x"})], [("change", {"text": "y"})]
    async with house(tmp_path, script(x, "one", x, "two", y)) as h, trio.open_nursery() as nursery:
        done = furnish(h)
        nursery.start_soon(answered, h, "allow_session")
        first = await h.start()
        await first.wait_outcome()
        nursery.cancel_scope.cancel()
        again = await h.start(session_id=first.session_id)
        assert isinstance(await again.wait_outcome(), TurnResult)
        assert not any(event.method == "turn.approval" for event in again.log.events)
        assert done == ["change x", "change x"]
        other = await h.start(session_id=first.session_id)
        while not (asked := h.services.approvals.list()):
            await pause()
        assert asked[0].arguments == {"text": "y"}
        other.cancel()
        await other.wait_outcome()


async def test_an_ephemeral_turn_of_a_tainted_session_is_tainted_too(tmp_path: Path) -> None:
    steps = script([("look", {"text": "a"})], "read", [("post", {"text": "x"})], "done")
    async with house(tmp_path, steps) as h:
        done = furnish(h)
        first = await h.ask()
        turn = await h.start(session_id=first.session_id, ephemeral=True, approvals=("deny", "post"))
        assert isinstance(await turn.wait_outcome(), ApprovalDenied)
        assert done == ["look a"]


async def test_after_untrusted_text_a_call_that_nobody_is_to_be_asked_about_ends_the_turn(tmp_path: Path) -> None:
    steps = script([("look", {"text": "a"})], [("post", {"text": "x"})], "done")
    async with house(tmp_path, steps) as h:
        done = furnish(h)
        turn = await h.start(approvals=("deny", "post"))
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, ApprovalDenied)
        assert "nobody is to be asked" in outcome.message
        assert done == ["look a"]
        assert not any(event.method == "turn.approval" for event in turn.log.events)


async def test_a_turn_that_is_cancelled_while_its_tool_runs_is_cancelled_and_so_is_the_tool(tmp_path: Path) -> None:
    async with house(tmp_path, script([("read", {"n": 0, "with": 9})], "done")) as h:
        slow = Slow(h, read="read")
        turn = await h.start()
        await until(lambda: slow.log)
        turn.cancel()
        outcome = await turn.wait_outcome()
        assert isinstance(outcome, TurnResult)
        assert (outcome.finish_reason, slow.log) == ("cancelled", ["+read0"])
        detail = await h.database.turns.detail(turn.turn_id)
        assert detail.turn.state == "cancelled"
        assert detail.tool_calls == (
            ToolCall(call_id=f"{turn.turn_id}-1", tool="read", arguments={"n": 0, "with": 9}),
        ), "that it began is on record, and that nobody knows what came of it"


async def test_every_call_that_is_told_has_its_result(tmp_path: Path) -> None:
    steps: Any = script([("look", {"text": "a"}), ("nothing", {}), ("look", {"text": "fail"})], "done")
    async with house(tmp_path, steps) as h:
        h.tools = {"look": tool("look", [])}
        turn = await h.start()
        await turn.wait_outcome()
        calls = [event.call_id for event in turn.log.events if isinstance(event, TurnToolCall)]
        results = [event.call_id for event in turn.log.events if isinstance(event, TurnToolResult)]
        assert sorted(calls) == sorted(results)
        assert len(set(calls)) == 3
