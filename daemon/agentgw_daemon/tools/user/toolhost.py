"""The process that runs one file of the user's own tools: `python -P -m agentgw_daemon.tools.user.toolhost FILE`.

It says what is in the file, then answers calls one after the other, a JSON object a line each way. It ends when its
stdin does. Imports the standard library and `agentgw.tool` only, and never runs inside the daemon.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
import types
from collections.abc import Iterable
from queue import SimpleQueue
from typing import Any, BinaryIO, Final

from agentgw.tool import UserTool

# As much as the daemon shows a model; it cuts to that itself. In JSON at most 6 bytes each, below one line's limit.
MAX_CONTENT_CHARS: Final = (1 << 16) + 1
MAX_REASON_CHARS: Final = 400


def main() -> None:
    """Serve until stdin ends."""
    commands, answers = _private_pipes()
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(commands, calls), daemon=True).start()
    try:
        tools = {value.name: value for value in _run(sys.argv[1]).values() if isinstance(value, UserTool)}
        _say(answers, {"tools": [_declared(tool) for tool in tools.values()]})
    except BaseException as error:  # noqa: BLE001  # whatever the user's file raises, SystemExit included
        _say(answers, {"error": _reason(error)})
        return
    while True:
        call = json.loads(calls.get())
        _say(answers, _answer(tools[call["tool"]], call["arguments"]))


def _receive(commands: Iterable[bytes], calls: SimpleQueue[bytes]) -> None:
    """Receives calls in a thread of its own, so that a function that never returns does not outlive the daemon."""
    for line in commands:
        calls.put(line)
    os._exit(0)


def _private_pipes() -> tuple[Iterable[bytes], BinaryIO]:
    """The daemon's two pipes, out of reach of `print` and `input`: those get stderr and nothing."""
    commands, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return commands, answers


def _run(path: str) -> dict[str, Any]:
    """The file's names after it has run as a module. Compiled anew each time: an edit may keep size and second."""
    module = types.ModuleType(os.path.basename(path).removesuffix(".py"))
    module.__file__ = path
    # Dataclasses and pickle look their module up.
    sys.modules[module.__name__] = module
    with open(path, "rb") as file:
        source = file.read()
    exec(compile(source, path, "exec"), module.__dict__)
    return module.__dict__


def _declared(tool: UserTool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "effect": tool.effect,
        "outbound": tool.outbound,
        "own_output": tool.own_output,
    }


def _answer(tool: UserTool, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": True, "content": tool.run(arguments)[:MAX_CONTENT_CHARS]}
    except BaseException as error:  # noqa: BLE001  # whatever the user's function raises, SystemExit included
        traceback.print_exc()
        return {"ok": False, "content": _reason(error)}


def _reason(error: BaseException) -> str:
    """The error and where in the user's file it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == sys.argv[1]]
    place = f" (line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        place = f" (line {error.lineno})"
    if isinstance(error, SystemExit):
        return f"it called sys.exit{place}"
    return f"{type(error).__name__}: {error}"[:MAX_REASON_CHARS] + place


def _say(answers: BinaryIO, message: dict[str, Any]) -> None:
    # A lone surrogate is not text for anybody else.
    answers.write(json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
