"""A server's life against one that misbehaves: whatever it does, calls end and nothing is left of it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw_daemon.config.settings import McpServerSection
from agentgw_daemon.tools.mcp.mcp_errors import ServerFailed
from agentgw_daemon.tools.mcp.mcp_server import McpLimits, McpServer
from agentgw_daemon.tools.mcp.mcp_tools import prefix_of, tools_of
from tests.polling import until
from tests.tools.kit import ENVIRON, alive, assert_gone, context, pids_of
from tests.tools.mcp import server as script

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(
    folder: Path, behaviour: str = "", *, timeout_s: float = 30.0, start_s: float = 30.0, **section: Any
) -> AsyncIterator[McpServer]:
    """A server of that behaviour; at the end none of its processes may be left."""
    values: dict[str, Any] = {
        "command": sys.executable, "args": (script.__file__, behaviour), "cwd": str(folder), "timeout_s": timeout_s,
    }  # fmt: skip
    limits = McpLimits(
        start_s=start_s, stop_s=0.2, first_backoff_s=0.01, ping_s=1.0, relist_s=0.01, stray_s=0.1, noise_s=0.2
    )
    made = McpServer("s", McpServerSection(**(values | section)), ENVIRON, on_listed=lambda: None, limits=limits)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.run)
            yield made
            nursery.cancel_scope.cancel()
    assert_gone(*pids_of(folder))


async def call(server: McpServer, how: str = "") -> str:
    result = await server.call("misbehave", {"how": how})
    return str(result["content"][0]["text"])


async def test_a_server_starts_with_its_first_use_and_stays(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        assert not pids_of(tmp_path)
        assert [await call(server, "a"), await call(server, "b")] == ["done: a", "done: b"]
        assert len(pids_of(tmp_path)) == 1
        assert [tool.spec.name for tool in tools_of(server)[0]] == ["s__misbehave"]


async def test_calls_at_the_same_time_each_get_their_own_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        answers: dict[str, str] = {}

        async def ask(how: str) -> None:
            answers[how] = await call(server, how)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(ask, f"n{number}")
        assert answers == {f"n{number}": f"done: n{number}" for number in range(8)}
        assert len(pids_of(tmp_path)) == 1


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("die", "s exited with status 4; it said: cannot find my configuration"),
        ("exit", "s exited with status 0"),
        ("die, not alone", "s exited with status 4"),
        ("flood", "s sent a message of more than 8 MiB"),
        ("version", "does not speak MCP as expected: Unsupported protocol version"),
    ],
)
async def test_a_server_that_cannot_be_started_says_why(tmp_path: Path, behaviour: str, said: str) -> None:
    async with running(tmp_path, behaviour) as server:
        with pytest.raises(ServerFailed) as caught:
            await call(server)
        assert said in str(caught.value)
        assert server.listed is None
        assert server.problem


async def test_a_server_that_hangs_at_its_start_is_given_up(tmp_path: Path) -> None:
    async with running(tmp_path, "hang", start_s=1.0) as server:
        with pytest.raises(ServerFailed, match="s was not ready within 1 s"):
            await call(server)


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    async with running(tmp_path, command="/no/such/program") as server:
        with pytest.raises(ServerFailed, match="s /no/such/program cannot be started: no such file"):
            await call(server)


async def test_a_folder_that_is_not_there_is_not_taken_for_the_program(tmp_path: Path) -> None:
    async with running(tmp_path, cwd="/no/such/folder") as server:
        with pytest.raises(ServerFailed, match="cannot be started: no such file or directory: its cwd /no/such/folder"):
            await call(server)


async def test_a_banner_on_stdout_is_overlooked(tmp_path: Path) -> None:
    async with running(tmp_path, "banner") as server:
        assert await call(server, "a") == "done: a"


async def test_garbage_between_messages_is_overlooked(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        assert await call(server, "garbage") == "done: garbage"


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("half a pair", "\ufffd cut"),
        ("both halves", "\U0001f600"),
        ("latin-1", "caf\ufffd"),
        ("no utf-8", "\ufffd\ufffd\ufffd\ufffd"),
        *((how, "done: odd") for how in (
            "bom", "cr", "id as text", "id as float", "batch", "no version", "null error", "large integer",
        )),
    ],
)  # fmt: skip
async def test_an_answer_that_can_be_mended_is(tmp_path: Path, how: str, text: str) -> None:
    async with running(tmp_path) as server:
        assert await call(server, f"odd: {how}") == text


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("nan", "cannot be read: NaN is not JSON"),
        ("nan, id last", "cannot be read: -Infinity is not JSON"),
        ("deep", "nested deeper than 128"),
        ("very deep", "nested deeper than 128"),
        ("cut off", "cannot be read"),
        ("no object", "has a result that is no object"),
        ("neither", "has neither a result nor an error"),
        ("null id", "bears no id: Parse error"),
        ("other id", "bears an id that was never sent"),
        ("cut before the id", "cannot be read"),
        ("nothing", "cannot be read: Expecting value"),
    ],
)
async def test_an_answer_that_cannot_be_read_fails_its_call_long_before_its_limit(
    tmp_path: Path, how: str, said: str
) -> None:
    async with running(tmp_path, timeout_s=50.0) as server:
        await server.settle()
        with trio.fail_after(20), pytest.raises(ServerFailed) as caught:
            await call(server, f"odd: {how}")
        assert str(caught.value).startswith("s did not answer as it should: its answer ")
        assert said in str(caught.value)
        assert await call(server, "a") == "done: a"
        assert len(pids_of(tmp_path)) == 1


async def test_an_answer_that_cannot_be_read_fails_no_other_call(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.settle()
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(ServerFailed):
                    await call(server, "odd: nan")

            nursery.start_soon(ask)
            for _ in range(3):
                assert await call(server, "a") == "done: a"


async def test_a_server_that_talks_while_it_works_is_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        assert await call(server, "talk") == "done: talk"


async def test_an_error_in_a_form_of_its_own_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        with pytest.raises(ServerFailed, match="s refused the call: no luck"):
            await call(server, "odd: error as text")


async def test_an_answer_that_comes_twice_counts_once(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        assert [await call(server, how) for how in ("twice", "a", "twice")] == ["done: twice", "done: a", "done: twice"]


async def test_a_hanging_call_ends_at_its_limit_and_leaves_the_server_alone(tmp_path: Path) -> None:
    async with running(tmp_path, timeout_s=2.0) as server:
        await server.settle()
        with pytest.raises(ServerFailed, match="s did not answer within 2 s"):
            await call(server, "hang")
        assert await call(server, "a") == "done: a"
        assert len(pids_of(tmp_path)) == 1


async def test_a_server_that_answers_nothing_any_more_is_replaced(tmp_path: Path) -> None:
    async with running(tmp_path, timeout_s=2.0) as server:
        await server.settle()
        with pytest.raises(ServerFailed, match="did not answer within"):
            await call(server, "hang all")
        assert await call(server, "a") == "done: a"
        assert len(pids_of(tmp_path)) == 2


async def test_a_cancelled_call_is_over_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.settle()
        with trio.move_on_after(0.05) as scope:
            await call(server, "hang")
        assert scope.cancelled_caught
        assert await call(server, "a") == "done: a"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("die", "s exited with status 3; it said: I have had enough"),
        ("die, not alone", "s exited with status 3"),
        ("flood", "s sent a message of more than 8 MiB"),
        ("large", "s sent a message of more than 8 MiB"),
        ("flood blank", "s writes lines that are no messages"),
        ("flood log", "s sends messages without end"),
        ("flood ping", "s sends messages without end"),
    ],
)
async def test_a_server_that_goes_wrong_in_a_call_fails_it_and_is_restarted(
    tmp_path: Path, how: str, said: str
) -> None:
    async with running(tmp_path) as server:
        with pytest.raises(ServerFailed) as caught:
            await call(server, how)
        assert said in str(caught.value)
        assert await call(server, "a") == "done: a"
        first, second = pids_of(tmp_path)
        assert not alive(first)
        assert alive(second)


async def test_a_server_that_dies_again_and_again_is_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path, "die") as server:
        for _ in range(5):
            with pytest.raises(ServerFailed, match="exited with status 4"):
                await call(server)
        with pytest.raises(ServerFailed, match="it is left alone for"):
            await call(server)
        assert len(pids_of(tmp_path)) == 5


async def test_much_on_stderr_is_read_and_forgotten(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        assert await call(server, "flood stderr") == "done: flood stderr"


async def test_an_error_of_the_server_is_the_calls(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        with pytest.raises(ServerFailed, match="s refused the call: not today"):
            await call(server, "refuse")


async def test_a_server_gets_nothing_of_the_daemon(tmp_path: Path) -> None:
    async with running(tmp_path, env={"MINE": "1", "THEIRS": "$OURS"}) as server:
        environment = json.loads(await call(server, "environment"))
        assert "SECRET_KEY" not in environment
        assert (environment["MINE"], environment["THEIRS"]) == ("1", "from the daemon")
        assert set(environment) <= {"PATH", "LANG", "LC_CTYPE", "MINE", "THEIRS", "AGENTGW_CALL"}
        assert await call(server, "sample") != "done: null"


async def test_a_variable_that_the_daemon_does_not_have(tmp_path: Path) -> None:
    async with running(tmp_path, env={"A": "${NOT_THERE}"}) as server:
        with pytest.raises(ServerFailed, match="the daemon has no variable NOT_THERE"):
            await call(server)
        assert not pids_of(tmp_path)


async def test_tools_that_change_are_listed_anew(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await call(server, "change")
        await until(lambda: len(tools_of(server)[0]) >= 2)
        assert [tool.spec.name for tool in tools_of(server)[0]] == ["s__misbehave", "s__later"]


async def test_a_lie_about_one_tool_costs_that_tool_only(tmp_path: Path) -> None:
    async with running(tmp_path, "lie") as server:
        await server.settle()
        tools, problems = tools_of(server)
        names = [tool.spec.name for tool in tools]
        assert (names[0], names[2], len(names)) == ("s__misbehave", "s__good_one", 3)
        assert names[1].startswith("s__good_one_")
        reasons = dict(problems)
        assert reasons["array"] == reasons["none"] == "its parameters are not the schema of an object"
        assert "deeper than" in reasons["deep"]
        assert "larger than" in reasons["large"]
        assert "no word" in reasons["unprintable"]
        assert "same name" in reasons["good_one"]
        assert "a tool without a name" in reasons


async def test_names_in_other_scripts_are_names_of_their_own(tmp_path: Path) -> None:
    async with running(tmp_path, "scripts") as server:
        await server.settle()
        tools, problems = tools_of(server)
        assert not problems
        names = [tool.spec.name for tool in tools]
        assert len(set(names)) == len(names) == 6
        assert names[3:5] == ["s__ecrire", "s__ecrire_"]
        for name in names:
            assert re.fullmatch("[a-z0-9_]{1,64}", name)
        result = await next(tool for tool in tools if "地图" in tool.spec.description).call({}, context(tmp_path))
        assert result.ok


async def test_of_many_tools_the_first_are_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, "many") as server:
        await server.settle()
        tools, problems = tools_of(server)
        assert len(tools) == 128
        assert problems == [("s", "it has 5001 tools, of which the first 128 are taken")]


async def test_what_all_tools_of_a_server_say_has_a_bound(tmp_path: Path) -> None:
    async with running(tmp_path, "wordy") as server:
        await server.settle()
        tools, problems = tools_of(server)
        assert 20 < len(tools) < 30
        assert problems == [
            ("s", f"its tools are described in more than 256 KiB, of which the first {len(tools)} are taken")
        ]


def test_a_name_as_long_as_they_come_is_cut_and_stays_apart() -> None:
    assert prefix_of("x" * 100) != prefix_of("x" * 101)
    assert len(prefix_of("x" * 100)) < 50


async def test_a_list_that_never_ends_is_cut(tmp_path: Path) -> None:
    async with running(tmp_path, "pages") as server:
        assert await call(server, "a") == "done: a"
        assert len(tools_of(server)[0]) == 1


async def test_a_tool_of_a_server_is_never_trusted(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.settle()
        (tool,) = tools_of(server)[0]
        assert (tool.spec.effect, tool.spec.outbound, tool.spec.untrusted) == ("network", True, True)
        assert tool.spec.description == "Does [2J as told"
        shown = await tool.describe_call({"how": "\u202ex"}, context(tmp_path))
        assert shown.title == "misbehave of the MCP server s"
        assert shown.details == ('arguments: {"how": "\\u202ex"}',)
        result = await tool.call({"how": "fail"}, context(tmp_path))
        assert (result.ok, result.content, result.untrusted) == (False, "it failed", True)
        result = await tool.call({"how": "nonsense"}, context(tmp_path))
        assert (result.ok, result.content) == (True, '{"n": 1}')
        result = await tool.call({"how": "die"}, context(tmp_path))
        assert not result.ok
        assert result.untrusted


async def test_an_approval_is_for_the_tool_of_one_server_as_it_is_configured(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.settle()
        (tool,) = tools_of(server)[0]
        things = (await tool.describe_call({}, context(tmp_path))).things
        for other in (
            McpServer("S", server.section, {}, on_listed=lambda: None, limits=McpLimits()),
            McpServer("s", replace(server.section, args=("x",)), {}, on_listed=lambda: None, limits=McpLimits()),
        ):
            other.listed = server.listed
            (theirs,) = tools_of(other)[0]
            assert theirs.spec.name == tool.spec.name
            assert (await theirs.describe_call({}, context(tmp_path))).things != things
            result = await theirs.call({"how": "x"}, replace(context(tmp_path), agreed=things))
            assert (result.ok, "changed since" in result.content) == (False, True)


async def test_a_server_that_lives_on_after_its_stdin_closes_is_killed(tmp_path: Path) -> None:
    async with running(tmp_path, "stay") as server:
        await server.settle()
    assert len(pids_of(tmp_path)) == 1


async def test_what_a_server_started_goes_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        child = int((await call(server, "child")).removeprefix("done: "))
        assert alive(child)
    assert_gone(child)


async def test_a_stop_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, "hang") as server:
        server.want()
        await until(lambda: pids_of(tmp_path))
