"""Sleep of the machine: how long a login manager waits until running answers are paused."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from typing import Final

import trio

from tests.bench.figure import Figure
from tests.bench.setting import MODEL, Setting, shown
from tests.bench.texts import prose
from tests.patience import PATIENCE_S
from tests.system.bus import FakeLogin, login_manager, system_bus

_LONG_WORDS: Final = 4_000
_STORY: Final = "Count from one to ten thousand, in words."
# Within the reading of the long prompt, which takes several times as long.
_READING_S: Final = 2.0
# The command ends with the first token, so one that goes on still reads.
_ONE_TOKEN: Final = ("-o", "max_tokens=1")
_TARGET_S: Final = 2.0


def sleep(setting: Setting) -> Iterator[Figure]:
    """Seconds from the word of a sleep to the lock that is let go, in the middle of an answer and of a prompt."""
    setting.stop()
    with setting.variant() as home, system_bus(home.directory) as address:
        home.environment["DBUS_SYSTEM_BUS_ADDRESS"] = address
        command = [home.agentgw, "run", "--no-session", "-m", os.fspath(MODEL), "--output-format", "stream-json"]
        writing, reading = trio.run(_rounds, home, address, command)
    for what, samples in (("an answer", writing), (f"a prompt of {_LONG_WORDS} words", reading)):
        yield Figure(
            case="sleep", what=f"paused in the middle of {what}, at most", command=shown(command), unit="s",
            measured=max(samples), at="most", target=_TARGET_S, samples=samples,
        )  # fmt: skip


async def _rounds(home: Setting, address: str, command: list[str]) -> tuple[list[float], list[float]]:
    writing, reading = [], []
    async with login_manager(address) as login:
        await trio.to_thread.run_sync(home.run, "models", "load", os.fspath(MODEL))
        for number in range(home.few(5)):
            writing.append(await _paused(home, login, [*command, _STORY], until_first=True))
            long = prose(_LONG_WORDS, seed=number)
            reading.append(await _paused(home, login, [*command, *_ONE_TOKEN, long], until_first=False))
    return writing, reading


async def _paused(home: Setting, login: FakeLogin, command: list[str], *, until_first: bool) -> float:
    with trio.fail_after(PATIENCE_S):
        await login.wait_locked()
        running = await trio.lowlevel.open_process(
            command, env=home.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert running.stdout is not None
        try:
            heard = b""
            while until_first and b"turn.delta" not in heard:
                heard += await running.stdout.receive_some()
            if not until_first:
                await trio.sleep(_READING_S)
                if running.poll() is not None:
                    raise SystemExit("bench: the long prompt was read before the machine went to sleep")
            begun = time.perf_counter()
            await login.prepare(True)
            await login.wait_let_go()
            taken = time.perf_counter() - begun
            await login.prepare(False)
        finally:
            running.terminate()
            with trio.CancelScope(shield=True):
                await running.wait()
    return taken
