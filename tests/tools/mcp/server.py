"""An MCP server in raw JSON-RPC lines that misbehaves on command: `python server.py BEHAVIOUR`.

Behaviours name what goes wrong at the start; the tool `misbehave` does in a call what its argument `how` says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BEHAVIOUR = sys.argv[1] if len(sys.argv) > 1 else ""
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"how": {"type": "string"}}}


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def for_ever() -> None:
    while True:
        time.sleep(3600)


def flood(text: str) -> None:
    while True:
        sys.stdout.write(text)


def listed() -> list[Any]:
    tools: list[Any] = [{"name": "misbehave", "description": "Does\x1b[2J\nas told", "inputSchema": SCHEMA}]
    if BEHAVIOUR == "lie":
        tools += [
            {"name": "array", "inputSchema": {"type": "array"}},
            {"name": "none"},
            {"name": 7, "inputSchema": SCHEMA},
            "no object",
            {"name": "deep", "inputSchema": {"type": "object", "properties": {"x": nested(40)}}},
            {"name": "large", "inputSchema": {"type": "object", "description": "x" * 100_000}},
            {"name": "unprintable", "inputSchema": {"properties": {"\x1b": {}}}},
            {"name": "Good.One", "description": 7, "inputSchema": SCHEMA},
            {"name": "good_one", "inputSchema": SCHEMA},
            {"name": "good_one", "inputSchema": SCHEMA},
        ]
    if BEHAVIOUR == "many":
        tools += [{"name": f"tool{number}", "inputSchema": SCHEMA} for number in range(5000)]
    if BEHAVIOUR == "wordy":
        tools += [{"name": f"tool{n}", "inputSchema": {"title": "x" * 900, "default": "x" * 9000}} for n in range(100)]
    if BEHAVIOUR == "scripts":
        tools += [
            {"name": name, "inputSchema": SCHEMA} for name in ("获取天气", "查询地图", "écrire", "écrire ", "a\nb")
        ]
    if Path("changed").exists():
        tools.append({"name": "later", "inputSchema": SCHEMA})
    return tools


def nested(depth: int) -> Any:
    return {"items": nested(depth - 1)} if depth else {}


def raw(line: str | bytes) -> None:
    sys.stdout.buffer.write((line.encode() if isinstance(line, str) else line) + b"\n")
    sys.stdout.flush()


def result(text: str) -> str:
    return f'{{"content": [{{"type": "text", "text": "{text}"}}]}}'


def reply(request_id: Any, text: str, *, last: bool = False) -> str:
    """An answer with this JSON as its text, the id first or last."""
    head = f'"jsonrpc": "2.0", "id": {json.dumps(request_id)}'
    return f'{{"result": {result(text)}, {head}}}' if last else f'{{{head}, "result": {result(text)}}}'


def odd_reply(request_id: Any, how: str) -> str | bytes:
    """The answer as other programs write it, each wrong in its own way."""
    plain = reply(request_id, "done: odd")
    match how:
        case "half a pair":
            return reply(request_id, "\\ud83d cut")
        case "both halves":
            return reply(request_id, "\\ud83d\\ude00")
        case "latin-1":
            return reply(request_id, "café").encode("latin-1")
        case "no utf-8":
            return reply(request_id, "%").encode().replace(b"%", b"\xed\xa0\xbd\xff")
        case "bom":
            return b"\xef\xbb\xbf" + plain.encode()
        case "cr":
            return plain + "\r"
        case "id as text":
            return reply(str(request_id), "done: odd")
        case "id as float":
            return reply(float(request_id), "done: odd")
        case "batch":
            return f"[{plain}]"
        case "no version":
            return plain.replace('"jsonrpc": "2.0", ', "")
        case "null error":
            return plain[:-1] + ', "error": null}'
        case "large integer":
            return plain[:-1] + ', "n": 18446744073709551615, "n": 1}'
        case "nan":
            return plain.replace('"text": "done: odd"', '"text": NaN')
        case "nan, id last":
            return reply(request_id, "x", last=True).replace('"text": "x"', '"text": -Infinity')
        case "deep":
            return plain.replace('"done: odd"', "[" * 500 + "]" * 500)
        case "very deep":
            return plain.replace('"done: odd"', "[" * 100_000 + "]" * 100_000)
        case "cut off":
            return plain[:-20]
        case "no object":
            return f'{{"jsonrpc": "2.0", "id": {request_id}, "result": "done"}}'
        case "neither":
            return f'{{"jsonrpc": "2.0", "id": {request_id}}}'
        case "null id":
            return '{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "Parse error"}}'
        case "other id":
            return reply(request_id + 1000, "not yours")
        case "cut before the id":
            return reply(request_id, "x", last=True)[:-20]
        case "error as text":
            return f'{{"jsonrpc": "2.0", "id": {request_id}, "error": "no luck"}}'
        case _:
            return "Traceback (most recent call last): no answer"


def leave_a_child() -> None:
    """One that leaves the process group and has our pipes."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)


def call(request_id: Any, how: str) -> None:
    if how.startswith("odd: "):
        raw(odd_reply(request_id, how.removeprefix("odd: ")))
        return
    match how:
        case "twice":
            raw(reply(request_id, "done: twice"))
        case "talk":
            print("Working on it...", flush=True)
            time.sleep(0.5)
        case "hang":
            return
        case "hang all":
            for_ever()
        case "die":
            print("I have had enough", file=sys.stderr, flush=True)
            os._exit(3)
        case "die, not alone":
            leave_a_child()
            os._exit(3)
        case "flood":
            flood("x" * 65536)
        case "flood blank":
            flood("\n" * 65536)
        case "flood log":
            line = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}})
            flood(line + "\n")
        case "flood ping":
            flood(json.dumps({"jsonrpc": "2.0", "id": "x", "method": "ping"}) + "\n")
        case "flood stderr":
            for _ in range(200):
                os.write(2, b"y" * 65536)
        case "garbage":
            print("this is no message\n{\n[]\n" + '{"jsonrpc": "2.0", "id": 12345, "result": {}}', flush=True)
        case "large":
            say({"id": request_id, "result": {"content": [{"type": "text", "text": "z" * 100_000_000}]}})
        case "change":
            Path("changed").touch()
            say({"method": "notifications/tools/list_changed"})
        case "refuse":
            say({"id": request_id, "error": {"code": -32000, "message": "not\x1b today"}})
            return
        case "fail":
            say({"id": request_id, "result": {"isError": True, "content": [{"type": "text", "text": "it failed"}]}})
            return
        case "environment":
            text = json.dumps(dict(os.environ))
            say({"id": request_id, "result": {"content": [{"type": "text", "text": text}]}})
            return
        case "nonsense":
            say({"id": request_id, "result": {"content": {"a": [1]}, "structuredContent": {"n": 1}}})
            return
        case "child":
            # One that leaves the process group.
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
            how = str(child.pid)
        case "sample":
            say({"id": "s", "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}})
            how = json.dumps(json.loads(sys.stdin.readline()).get("error", {}).get("code"))
    say({"id": request_id, "result": {"content": [{"type": "text", "text": f"done: {how}"}]}})


def main() -> None:
    with Path("pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    match BEHAVIOUR:
        case "hang":
            for_ever()
        case "die":
            print("cannot find my configuration", file=sys.stderr, flush=True)
            sys.exit(4)
        case "die, not alone":
            leave_a_child()
            sys.exit(4)
        case "flood":
            flood("x" * 65536)
        case "banner":
            print("Welcome to the server!\n" * 300, flush=True)
        case "exit":
            sys.exit(0)
        case "wait":
            while not Path("go").exists():
                time.sleep(0.02)
    for line in sys.stdin:
        message = json.loads(line)
        params = message.get("params", {})
        match message.get("method"):
            case "initialize":
                version = "1999-01-01" if BEHAVIOUR == "version" else params["protocolVersion"]
                info = {"name": "x", "version": "1"}
                able: dict[str, Any] = {} if BEHAVIOUR == "toolless" else {"tools": {}}
                result = {"protocolVersion": version, "capabilities": able, "serverInfo": info}
                say({"id": message["id"], "result": result})
            case "tools/list":
                page = int(params.get("cursor", "0"))
                tools = listed()[1:] if page else listed()[:1]
                more = {"nextCursor": str(page + 1)} if page == 0 or BEHAVIOUR == "pages" else {}
                said = "none" if BEHAVIOUR == "no list" else tools
                say({"id": message["id"], "result": {"tools": said, **more}})
            case "tools/call":
                call(message["id"], params["arguments"].get("how", ""))
            case "ping":
                say({"id": message["id"], "result": {}})
    if BEHAVIOUR == "stay":
        for_ever()


if __name__ == "__main__":
    main()
