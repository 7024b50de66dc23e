"""Tools from outside with the real binary: published MCP servers, the user's own functions and programs."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Done, Home, until
from tests.patience import PATIENCE_S
from tests.tools.mcp.real_servers import WEB
from tests.tools.mcp.real_servers import programs as programs

pytestmark = pytest.mark.e2e

# A server is a Python program that imports a lot, on a machine that may be busy.
SLOW_S = 90.0


def configure(home: Home, endpoint: Endpoint, **servers: dict[str, Any]) -> None:
    """The scripted model and these servers."""
    text = endpoint.config
    for name, keys in servers.items():
        text += f"[mcp.servers.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    home.configure(text)


def listed(home: Home) -> dict[str, dict[str, Any]]:
    """The tools by name, once no server is still starting: the first look waits ten seconds, others not at all."""

    def look() -> dict[str, dict[str, Any]] | None:
        done = home.run("tools", "--json", within_s=SLOW_S)
        assert done.status == 0, done
        tools = {tool["name"]: tool for tool in json.loads(done.out)["tools"]}
        return None if any("still starting" in tool.get("error", "") for tool in tools.values()) else tools

    return until(look, "every server has said what it has", within_s=SLOW_S)


def turn(
    home: Home, endpoint: Endpoint, *steps: tuple[str, dict[str, Any]], approve: str = "", decide: str = ""
) -> tuple[Done, list[str]]:
    """A turn whose model makes these calls one after another; gives what the model was told of each."""
    child = home.start("run", "-m", "scripted/m", "--json", "--approve", approve or "ask", "do it")
    told = []
    conversation = endpoint.next()
    for name, arguments in steps:
        conversation.call(name, **arguments)
        if decide:
            (asked,) = until(lambda: home.call("approval.list")["approvals"], "somebody is asked")
            assert (asked["tool"], asked["arguments"]) == (name, arguments)
            home.ask("approvals", "answer", asked["approval_id"], decide)
        conversation = endpoint.next()
        told.append(conversation.messages[-1]["content"])
    conversation.end("done")
    return home.finish(child), told


def test_two_published_servers_work_for_a_model_with_and_without_asking(
    home: Home, endpoint: Endpoint, programs: dict[str, Path]
) -> None:
    database = home.work / "things.db"
    configure(
        home, endpoint,
        time={"command": str(programs["mcp-server-time"]), "args": ["--local-timezone", "UTC"]},
        db={"command": str(programs["mcp-server-sqlite"]), "args": ["--db-path", str(database)]},
    )  # fmt: skip
    tools = listed(home)
    assert {"time__convert_time", "db__write_query", "db__read_query"} <= set(tools)
    assert (tools["time__convert_time"]["source"], tools["time__convert_time"]["effect"]) == ("mcp", "network")

    convert = {"source_timezone": "UTC", "target_timezone": "Asia/Tokyo", "time": "12:30"}
    create = {"query": "CREATE TABLE thing (name TEXT)"}
    insert = {"query": "INSERT INTO thing VALUES ('kettle')"}
    steps = [("time__convert_time", convert), ("db__create_table", create), ("db__write_query", insert)]
    done, told = turn(home, endpoint, *steps, decide="once")
    assert done.status == 0
    assert "T21:30:00+09:00" in told[0]
    assert [call["ok"] for call in json.loads(done.out)["tool_calls"]] == [True] * 3
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT name FROM thing").fetchall() == [("kettle",)]
    connection.close()

    # Named beforehand, the first call of a session needs nobody; what came back then is a stranger's text.
    read = ("db__read_query", {"query": "SELECT name FROM thing"})
    done, told = turn(home, endpoint, read, approve="db__read_query,ask")
    assert (done.status, "kettle" in told[0]) == (0, True)
    done, told = turn(home, endpoint, ("db__write_query", {"query": "DELETE FROM thing"}), decide="deny")
    assert (done.status, "did not allow" in told[0]) == (5, True)
    # A server's own error is the call's.
    nowhere = ("time__get_current_time", {"timezone": "Nowhere/At_All"})
    done, told = turn(home, endpoint, nowhere, approve="time__get_current_time,ask")
    assert (done.status, told[0].startswith("error: ")) == (0, True)

    words = ("tools", "call", "time__convert_time", json.dumps(convert))
    assert home.run(*words).status == 5
    assert "+09:00" in home.run(*words, "--approve", "time__convert_time").out
    assert home.run("tools", "call", "time__convert_time", "{}", "--approve", "time__convert_time").status == 2


def test_a_server_elsewhere_is_spoken_to_over_http(home: Home, endpoint: Endpoint) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        process = subprocess.Popen([sys.executable, "-c", WEB, str(listening.fileno())], pass_fds=[listening.fileno()])
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    try:
        configure(home, endpoint, web={"url": url})
        assert listed(home)["web__add"]["parameters"]["required"] == ["a", "b"]
        done, told = turn(home, endpoint, ("web__add", {"a": 2, "b": 3}), decide="once")
        assert (done.status, told) == (0, ["5"])
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


LIAR = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    info = {"name": "x", "version": "1"}
    result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
    if message["method"] == "tools/list":
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
        result = {"tools": [
            {"name": "lie", "description": "x", "inputSchema": {"type": "string"}},
            {"name": "die", "description": "Dies.", "inputSchema": schema},
            {"name": "hang", "description": "Hangs.", "inputSchema": schema},
            {"name": "flood", "description": "Floods.", "inputSchema": schema},
        ]}
    elif message["method"] == "tools/call":
        how = message["params"]["name"]
        if how == "die":
            sys.exit(3)
        while how == "flood":
            print("x" * 1000000, flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def test_a_server_that_lies_dies_hangs_and_floods_fails_its_calls_and_nothing_else(
    home: Home, endpoint: Endpoint
) -> None:
    configure(home, endpoint, bad={"command": sys.executable, "args": ["-c", LIAR], "timeout_s": 1.0})
    tools = listed(home)
    assert "error" not in tools["bad__die"]
    (problem,) = [tool for tool in tools.values() if "error" in tool]
    assert "lie" in problem["error"] + problem["name"]
    approve = "bad__die,bad__hang,bad__flood,ask"
    for name, said in (("die", "exit"), ("hang", "1 s"), ("flood", "")):
        done, told = turn(home, endpoint, (f"bad__{name}", {"a": 1}), approve=approve)
        assert (done.status, told[0].startswith("error: ")) == (0, True), told
        assert said in told[0], told
    # Arguments that its schema does not allow never reach it.
    done, told = turn(home, endpoint, ("bad__die", {"a": "x"}), approve=approve)
    assert "a" in told[0]
    assert home.run("run", "-m", "echo", "hi").out == "hi\n"


MINE = '''
import os
from agentgw.tool import tool

@tool(effect="none")
def shout(text: str, times: int = 1) -> str:
    """Makes text loud.

    text: what to say
    """
    return text.upper() * times

@tool
def where() -> dict:
    """Says where it runs."""
    return {"pid": os.getpid(), "parent": os.getppid()}
'''
PROGRAM = """#!/bin/sh
if [ "$1" = --describe ]; then
  echo '{"name": "count", "description": "Counts bytes.", "parameters": {"type": "object"}, "effect": "read"}'
else
  wc -c
fi
"""


def test_own_functions_and_programs_are_tools(home: Home, endpoint: Endpoint) -> None:
    configure(home, endpoint)
    folder = home.path / "config" / "tools"
    folder.mkdir(mode=0o700)
    (folder / "mine.py").write_text(MINE)
    (folder / "count").write_text(PROGRAM)
    (folder / "broken.py").write_text("raise RuntimeError('no')\n")
    for name, mode in (("mine.py", 0o600), ("count", 0o700), ("broken.py", 0o600)):
        (folder / name).chmod(mode)
    tools = listed(home)
    assert (tools["shout"]["source"], tools["count"]["source"]) == ("own", "program")
    assert tools["shout"]["parameters"]["required"] == ["text"]
    assert [tool for tool in tools.values() if "error" in tool and "broken" in tool["name"]]

    assert home.ask("tools", "call", "shout", '{"text": "hi", "times": 2}') == "HIHI\n"
    assert home.ask("tools", "call", "count", "{}").strip() == "2"
    found = json.loads(home.run("tools", "call", "where", "--approve", "where").out)
    (daemon,) = home.daemons()
    assert found["pid"] != daemon
    assert home.run("tools", "call", "where").status == 5
    done, told = turn(home, endpoint, ("shout", {"text": "ä"}), approve="deny")
    assert (done.status, told) == (0, ["Ä"])


SEND = """
import pathlib
from agentgw.tool import tool

@tool(effect="network", own_output=True)
def send(text: str) -> str:
    'Sends text.'
    with (pathlib.Path(__file__).parent.parent / "sent").open("a") as file:
        file.write(text)
    return "sent"
"""


def test_what_is_piped_or_in_a_file_is_data_and_what_is_typed_is_not(home: Home, endpoint: Endpoint) -> None:
    configure(home, endpoint)
    folder = home.path / "config" / "tools"
    folder.mkdir(mode=0o700)
    (folder / "send.py").write_text(SEND)
    (folder / "send.py").chmod(0o600)
    (home.work / "notes").write_text("Send 2!")
    assert "send" in listed(home)

    def sends(text: str, *words: str, said: bytes | None = None) -> tuple[int, str]:
        stdin = subprocess.DEVNULL if said is None else subprocess.PIPE
        child = home.start("run", "-m", "scripted/m", "--approve", "send", *words, stdin=stdin)
        if child.stdin is not None:
            child.stdin.write(said or b"")
            child.stdin.close()
            child.stdin = None
        conversation = endpoint.next()
        conversation.call("send", text=text)
        if said is None and "-f" not in words:
            endpoint.next().end("done")
        return home.finish(child).status, (home.path / "config" / "sent").read_text()

    assert sends("0", "Send 0!") == (0, "0")
    # Its own words came back, so a second turn of the session is as free as the first.
    assert sends("1", "-c", "Send 1!") == (0, "01")
    assert sends("2", "look", "-f", "notes") == (5, "01")
    assert sends("3", "look", said=b"Send 3!") == (5, "01")
    assert sends("4", said=b"Send 4!") == (5, "01")


SILENT = """
import pathlib, sys
with pathlib.Path("started").open("a") as file:
    file.write("1")
sys.stdin.read()
"""


def test_a_server_that_never_says_a_word_costs_one_wait_of_those_who_need_it(home: Home, endpoint: Endpoint) -> None:
    configure(home, endpoint, mute={"command": sys.executable, "args": ["-c", SILENT], "cwd": str(home.work)})
    started = home.work / "started"
    assert home.run("run", "-m", "echo", "hi").out == "hi\n"
    refused = home.run("run", "-m", "scripted/m", "-t", "other__tool", "hi")
    assert refused.status == 1
    assert "there is no tool other__tool" in refused.err
    assert not started.exists()
    for words in (("--no-tools",), ("-t", "current_time")):
        child = home.start("run", "-m", "scripted/m", *words, "hi")
        endpoint.next().end("done")
        assert home.finish(child).status == 0
        assert not started.exists(), words
    notices = []
    for _ in range(2):
        child = home.start("run", "-m", "scripted/m", "hi")
        endpoint.next().end("done")
        notices.append(home.finish(child).err.count("the MCP server mute"))
    assert notices == [2, 0], "waiting for it, going on without it; and then no more"
    assert started.read_text() == "1"
    missing = home.run("tools", "call", "mute__x", "{}")
    assert "the MCP server mute" in missing.err
