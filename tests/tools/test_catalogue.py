"""All tools by name: who wins, what is listed with its reason, and what an edit changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from agentgw_daemon.config.settings import McpServerSection
from agentgw_daemon.tools.catalogue import Catalogue, ToolLimits, ToolProblem, open_catalogue
from agentgw_daemon.tools.mcp.mcp_server import McpLimits
from agentgw_daemon.tools.tool import Arguments, CallPreview, RunnableTool, ToolContext, ToolResult, ToolSpec
from agentgw_daemon.tools.user.own_tools import OwnLimits
from tests.patience import PATIENCE_S
from tests.tools.kit import ENVIRON, assert_gone, context, pids_of
from tests.tools.mcp import server as script

pytestmark = pytest.mark.anyio

LIMITS = ToolLimits(
    own=OwnLimits(load_s=20.0), mcp=McpLimits(start_s=20.0, stop_s=0.2, first_backoff_s=0.01), first_list_s=20.0
)


class BuiltIn:
    """A built-in tool of that name."""

    def __init__(self, name: str) -> None:
        self.spec = ToolSpec(name=name, description="", parameters={"type": "object"}, effect="none")

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        return CallPreview(title=self.spec.name)

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        return ToolResult(ok=True, content="built in")


def put(folder: Path, name: str, text: str, mode: int = 0o600) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(mode)


def python(name: str, gives: str) -> str:
    return f"from agentgw.tool import tool\n@tool\ndef {name}() -> str:\n    'x'\n    return {gives!r}\n"


def server(folder: Path, behaviour: str = "") -> McpServerSection:
    return McpServerSection(command=sys.executable, args=(script.__file__, behaviour), cwd=str(folder))


@asynccontextmanager
async def opened(
    folder: Path, *, builtin: Sequence[RunnableTool] = (), servers: Mapping[str, McpServerSection] | None = None,
    limits: ToolLimits = LIMITS,
) -> AsyncIterator[Catalogue]:  # fmt: skip
    with trio.fail_after(PATIENCE_S):
        async with open_catalogue(builtin, folder / "tools", servers or {}, environ=ENVIRON, limits=limits) as made:
            yield made
    assert_gone(*pids_of(folder))


async def content(catalogue: Catalogue, name: str, folder: Path) -> str:
    return (await (await catalogue.tools())[name].call({}, context(folder))).content


async def test_tools_of_every_source_by_name(tmp_path: Path) -> None:
    put(tmp_path / "tools", "a.py", python("own", "mine"))
    describe = '{"name": "prog", "parameters": {"type": "object"}}'
    put(tmp_path / "tools", "p", f"#!/bin/sh\n[ \"$1\" ] && echo '{describe}' || echo printed\n", 0o700)
    async with opened(tmp_path, builtin=[BuiltIn("read")], servers={"s": server(tmp_path)}) as catalogue:
        assert list(catalogue.current) == ["read"]
        assert list(await catalogue.tools()) == ["read", "own", "prog", "s__misbehave"]
        assert catalogue.problems == ()
        assert await content(catalogue, "own", tmp_path) == "mine"
        assert await content(catalogue, "prog", tmp_path) == "printed\n"
        assert await content(catalogue, "s__misbehave", tmp_path) == "done: "


async def test_of_one_name_the_first_source_wins_and_the_others_are_listed(tmp_path: Path) -> None:
    put(tmp_path / "tools", "a.py", python("read", "mine"))
    put(tmp_path / "tools", "b.py", python("s__misbehave", "mine"))
    put(tmp_path / "tools", "c.py", python("s__misbehave", "mine too"))
    async with opened(tmp_path, builtin=[BuiltIn("read")], servers={"s": server(tmp_path)}) as catalogue:
        assert await content(catalogue, "read", tmp_path) == "built in"
        assert await content(catalogue, "s__misbehave", tmp_path) == "mine"
        assert catalogue.problems == (
            ToolProblem(source="own", name="a.py", reason="the name read belongs to a built-in tool already"),
            ToolProblem(source="own", name="c.py", reason="the name s__misbehave belongs to b.py already"),
            ToolProblem(source="mcp", name="s", reason="the name s__misbehave belongs to b.py already"),
        )


async def test_what_is_broken_is_listed_and_hurts_nothing_else(tmp_path: Path) -> None:
    put(tmp_path / "tools", "good.py", python("good", "mine"))
    put(tmp_path / "tools", "bad.py", "import os\nos._exit(9)\n")
    put(tmp_path / "tools", "prog", "#!/bin/sh\nexit 5\n", 0o700)
    put(tmp_path / "tools", "open.py", python("open", "x"), 0o666)
    servers = {"dead": server(tmp_path, "die"), "lies": server(tmp_path, "lie")}
    async with opened(tmp_path, servers=servers) as catalogue:
        assert list(await catalogue.tools())[:2] == ["good", "lies__misbehave"]
        said = {problem.name: problem.reason for problem in catalogue.problems}
        assert said["bad.py"] == "exited with status 9"
        assert said["prog"] == "exited with status 5"
        assert "can be written by others" in said["open.py"]
        assert said["dead"] == "exited with status 4"
        assert said["lies: none"] == "its parameters are not the schema of an object"


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("toolless", "it offers no tools"),
        ("no list", "answers with no list when it is asked for its tools"),
        ("many", "it has 5001 tools, of which the first 128 are taken"),
    ],
)
async def test_what_is_wrong_with_a_servers_list_is_told(tmp_path: Path, behaviour: str, said: str) -> None:
    async with opened(tmp_path, servers={"s": server(tmp_path, behaviour)}) as catalogue:
        await catalogue.tools()
        assert [problem.reason for problem in catalogue.problems] == [said]


async def test_edits_are_picked_up(tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    async with opened(tmp_path) as catalogue:
        assert not await catalogue.tools()
        put(folder, "a.py", python("one", "first"))
        assert await content(catalogue, "one", tmp_path) == "first"
        kept = catalogue.current["one"]
        assert (await catalogue.tools())["one"] is kept
        put(folder, "a.py", python("one", "other"))
        assert await content(catalogue, "one", tmp_path) == "other"
        put(folder, "a.py", "no python")
        assert not await catalogue.tools()
        assert [problem.name for problem in catalogue.problems] == ["a.py"]
        (folder / "a.py").unlink()
        assert not await catalogue.tools()
        assert not catalogue.problems


def waiting(first_list_s: float) -> ToolLimits:
    return ToolLimits(mcp=LIMITS.mcp, first_list_s=first_list_s, silence_s=0.0)


async def test_a_server_that_is_slow_to_start_is_waited_for_once_and_joins(tmp_path: Path) -> None:
    told: list[str] = []

    async def tell(text: str) -> None:
        told.append(text)

    builtin = [BuiltIn("read")]
    servers = {"s": server(tmp_path, "wait")}
    async with opened(tmp_path, builtin=builtin, servers=servers, limits=waiting(0.5)) as made:
        assert list(await made.tools(tell=tell)) == ["read"]
        assert told == [
            "waiting for the MCP server s to start",
            "the MCP server s is still starting: going on without its tools, which join when it is ready",
        ]
        assert [(problem.name, problem.source) for problem in made.problems] == [("s", "mcp")]
        assert "the MCP server s has not been started yet" in made.absence("s__misbehave")
        assert list(await made.tools(tell=tell)) == ["read"]
        assert len(told) == 2
        (tmp_path / "go").touch()
        await made.wait_for(["s__misbehave"], 20)
        assert list(made.current) == ["read", "s__misbehave"]
        assert made.absence("s__misbehave") == ""


async def test_all_callers_wait_for_a_server_together(tmp_path: Path) -> None:
    async with opened(tmp_path, servers={"s": server(tmp_path, "wait")}, limits=waiting(20)) as made:
        async with trio.open_nursery() as nursery:
            found: list[list[str]] = []

            async def look() -> None:
                found.append(list(await made.tools()))

            async def tell(text: str) -> None:
                assert text == "waiting for the MCP server s to start"
                nursery.start_soon(look)
                (tmp_path / "go").touch()

            await made.tools(tell=tell)
        assert found == [["s__misbehave"]]
        assert len(pids_of(tmp_path)) == 1


@pytest.mark.parametrize("names", [[], ["read"], ["other__tool"], ["unknown"]])
async def test_who_has_no_use_for_a_server_neither_waits_nor_starts_it(tmp_path: Path, names: list[str]) -> None:
    servers = {"s": server(tmp_path, "hang")}
    async with opened(tmp_path, builtin=[BuiltIn("read")], servers=servers) as made:
        assert list(await made.tools(names)) == ["read"]
        await trio.lowlevel.checkpoint()
    assert not pids_of(tmp_path)


async def test_who_names_a_tool_of_a_server_waits_for_that_one_only(tmp_path: Path) -> None:
    servers = {"s": server(tmp_path), "t": server(tmp_path, "hang")}
    async with opened(tmp_path, servers=servers) as made:
        assert list(await made.tools(["s__misbehave"])) == ["s__misbehave"]
        assert len(pids_of(tmp_path)) == 1


async def test_who_waited_for_a_server_that_failed_is_told_why(tmp_path: Path) -> None:
    told: list[str] = []

    async def tell(text: str) -> None:
        told.append(text)

    async with opened(tmp_path, servers={"s": server(tmp_path, "die")}) as made:
        assert not await made.tools(tell=tell)
        assert told[-1] == "the MCP server s exited with status 4: going on without its tools"
        told.clear()
        assert not await made.tools(tell=tell)
        assert told == []


async def test_changed_settings_end_and_start_servers(tmp_path: Path) -> None:
    async with opened(tmp_path, servers={"a": server(tmp_path), "b": server(tmp_path)}) as catalogue:
        assert list(await catalogue.tools()) == ["a__misbehave", "b__misbehave"]
        catalogue.reload(
            {"b": server(tmp_path), "c": server(tmp_path), "d": McpServerSection(url="http://x", enabled=False)}
        )
        assert list(catalogue.current) == ["b__misbehave"]
        assert list(await catalogue.tools()) == ["b__misbehave", "c__misbehave"]
        assert len(pids_of(tmp_path)) == 3


async def test_nothing_is_started_before_it_is_needed(tmp_path: Path) -> None:
    async with opened(tmp_path, servers={"a": server(tmp_path)}):
        await trio.lowlevel.checkpoint()
    assert not pids_of(tmp_path)


def test_the_sdk_is_not_imported_without_a_server() -> None:
    code = "import sys, agentgw_daemon.tools.catalogue; print(sorted({'mcp', 'pydantic', 'httpx2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
