"""The chat's prompt: from Enter until it is on the screen, and until its editor takes keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Final

from tests.bench.figure import Figure
from tests.bench.measure import wall_s
from tests.bench.setting import Setting, shown
from tests.patience import PATIENCE_S

_ROUNDS: Final = 21
_PROMPT: Final = "›".encode()
_TARGET_S: Final = 0.25


def prompt(setting: Setting) -> Iterator[Figure]:
    """A warm start on a terminal, against the import of the editor's library alone."""
    command = [setting.agentgw, "chat", "-m", "echo"]
    library = [sys.executable, "-c", "import prompt_toolkit"]
    setting.run("start")
    _start(command, setting.environment), wall_s(library, setting.environment)
    starts, imports = [], []
    for _ in range(max(_ROUNDS, setting.rounds)):
        starts.append(_start(command, setting.environment))
        imports.append(wall_s(library, setting.environment))
    prompts, editors = [first for first, _ in starts], [then for _, then in starts]
    yield Figure(
        case="prompt", what="from Enter to the chat's prompt on the screen", command=shown(command), unit="s",
        measured=statistics.median(prompts), at="most", target=_TARGET_S, samples=prompts,
    )  # fmt: skip
    yield Figure.compared(
        "prompt", "to the first key that is shown", (shown(command), shown(library)), (editors, imports), unit="s",
    )  # fmt: skip


def _start(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds until the prompt is on the screen, and until a key that is pressed then is shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm"},
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        prompt_s = _seen(ours, _PROMPT) - started
        os.write(ours, b"~")
        return prompt_s, _seen(ours, b"~") - started
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _seen(terminal: int, wanted: bytes) -> float:
    """The time at which these bytes have come."""
    come = b""
    deadline = time.monotonic() + PATIENCE_S
    while wanted not in come:
        if not select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise SystemExit(f"bench: {wanted!r} is not on the screen: {come!r}")
        come += os.read(terminal, 65_536)
    return time.perf_counter()
