"""Published MCP servers, as a user configures them: their tools in the catalogue, called, and gone with it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from agentgw_daemon.config.settings import McpServerSection
from agentgw_daemon.tools.catalogue import ToolLimits, open_catalogue
from agentgw_daemon.tools.mcp.mcp_server import McpLimits
from tests.patience import PATIENCE_S
from tests.tools.kit import context
from tests.tools.mcp.real_servers import WEB
from tests.tools.mcp.real_servers import programs as programs

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]


def running_in(folder: Path) -> list[str]:
    """The command lines of the processes that have `folder` as their home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


async def test_a_server_of_the_sdk_over_http(tmp_path: Path) -> None:
    with socket.socket() as listening:
        # Listening before it starts: nobody has to try again.
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        command = [sys.executable, "-c", WEB, str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
    try:
        with trio.fail_after(PATIENCE_S):
            servers = {"web": McpServerSection(url=address)}
            limits = ToolLimits(first_list_s=30.0)
            async with open_catalogue((), tmp_path, servers, environ={}, limits=limits) as catalogue:
                tools = await catalogue.tools()
                assert list(tools) == ["web__add"], catalogue.problems
                assert tools["web__add"].spec.parameters["required"] == ["a", "b"]
                result = await tools["web__add"].call({"a": 2, "b": 3}, context(tmp_path))
                assert (result.ok, result.content) == (True, "5")
                result = await tools["web__add"].call({"a": "x", "b": 3}, context(tmp_path))
                assert not result.ok
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


async def test_two_servers_of_the_package_index_side_by_side(programs: dict[str, Path], tmp_path: Path) -> None:
    database = tmp_path / "things.db"
    servers = {
        "time": McpServerSection(command=str(programs["mcp-server-time"]), args=("--local-timezone", "UTC")),
        "db": McpServerSection(command=str(programs["mcp-server-sqlite"]), args=("--db-path", str(database))),
    }
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    limits = ToolLimits(mcp=McpLimits(), first_list_s=60.0)
    with trio.fail_after(PATIENCE_S):
        async with open_catalogue((), tmp_path / "tools", servers, environ=environ, limits=limits) as catalogue:
            tools = await catalogue.tools()
            assert catalogue.problems == ()
            assert {"time__get_current_time", "time__convert_time", "db__write_query", "db__list_tables"} <= set(tools)
            assert len(running_in(tmp_path)) == 2

            async def call(name: str, **arguments: str) -> str:
                result = await tools[name].call(arguments, context(tmp_path))
                assert result.ok, result.content
                assert result.untrusted
                return result.content

            asked = {"source_timezone": "UTC", "target_timezone": "Asia/Tokyo", "time": "12:30"}
            converted = json.loads(await call("time__convert_time", **asked))
            assert "T21:30:00+09:00" in converted["target"]["datetime"]
            await call("db__create_table", query="CREATE TABLE thing (name TEXT)")
            await call("db__write_query", query="INSERT INTO thing VALUES ('kettle')")
            assert "kettle" in await call("db__read_query", query="SELECT name FROM thing")

            refused = await tools["time__get_current_time"].call({"timezone": "Nowhere/At_All"}, context(tmp_path))
            assert not refused.ok
            assert "Nowhere" in refused.content
    assert not running_in(tmp_path)
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT name FROM thing").fetchall() == [("kettle",)]
    connection.close()
