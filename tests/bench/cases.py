"""Cases of the bench, each with its command, its baseline and its target."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from agentgw.local.connect import connect_running
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.transport.framing import encode
from tests.bench.cache_cases import CACHE
from tests.bench.chat_cases import chat
from tests.bench.figure import Figure
from tests.bench.http_cases import HTTP
from tests.bench.job_cases import jobs, write_jobs
from tests.bench.knowledge_cases import KNOWLEDGE
from tests.bench.labelled_cases import LABELLED
from tests.bench.map_cases import MAP
from tests.bench.measure import Streamed, interleave, resident_bytes, wake_ups, wall_s, woken
from tests.bench.prompt_cases import prompt
from tests.bench.readiness_cases import READINESS
from tests.bench.search_cases import SEARCH
from tests.bench.setting import LLM, MODEL, WORDS, Setting, shown
from tests.bench.sleep_cases import sleep
from tests.bench.stream_cases import STREAMS
from tests.bench.worker_cases import WORKER

HERE: Final = Path(__file__).parent
PINGS: Final = 5_000
PING_ROUNDS: Final = 20
IDLE_S: Final = 20
# trio keeps an unused thread for 10 s; the daemon is idle when the last one is gone.
SETTLE_S: Final = 12


def overhead(setting: Setting) -> Iterator[Figure]:
    """A warm one-shot against an interpreter that does nothing, and against `llm --version`."""
    command = [setting.agentgw, "run", "--no-session", "-m", "echo", "hi"]
    nothing = [sys.executable, "-I", "-S", "-c", "pass"]
    version = [os.fspath(LLM), "--version"]

    def ms(command: list[str]) -> float:
        return wall_s(command, setting.environment) * 1e3

    ms(command), ms(version)
    yield Figure.compared(
        "client", "warm one-shot, whole process", (shown(command), shown(nothing)),
        interleave((lambda: ms(command), lambda: ms(nothing)), max(21, setting.rounds * 5)),
        unit="ms", at="most", target=4,
    )  # fmt: skip
    yield Figure.compared(
        "llm", "times faster than llm --version", (shown(command), shown(version)),
        interleave((lambda: ms(command), lambda: ms(version)), setting.rounds),
        unit="ms", at="least", target=20, inverse=True,
    )  # fmt: skip


def ping(setting: Setting) -> Iterator[Figure]:
    """`ping` against a bare trio echo of the same bytes, through the same blocking loop."""
    setting.run("start")
    path = str(setting.directory / "echo.sock")
    frame = encode({"jsonrpc": "2.0", "id": 12345, "method": "ping", "params": {}})
    with _echo(path), _dial(os.fspath(setting.socket)) as ours, _dial(path) as theirs:
        clocks = [functools.partial(_round_trip_us, dialled, frame) for dialled in (ours, theirs)]
        interleave(clocks, 1)
        yield Figure.compared(
            "ping", "round trip, p50", ("ping", "a bare trio echo of the same bytes"),
            interleave(clocks, PING_ROUNDS), unit="µs", at="most", target=3,
        )  # fmt: skip


def deltas(setting: Setting) -> Iterator[Figure]:
    """The number of deltas a second that one client gets, decoded."""
    setting.run("start")
    message = " ".join(f"w{number}" for number in range(WORDS))
    for ephemeral in (True, False):
        rates = [_delta_rate(setting, message, ephemeral) for _ in range(setting.rounds)]
        yield Figure(
            case="deltas", what="turn.delta to one client, " + ("not stored" if ephemeral else "stored"),
            command=f"turn.start, echo, {WORDS} words, ephemeral {str(ephemeral).lower()}",
            unit="1/s", measured=statistics.median(rates), at="least", target=200_000, samples=rates,
        )  # fmt: skip


def cold(setting: Setting) -> Iterator[Figure]:
    """The time from no daemon and no worker to the first byte of the same reply; weights in the page cache for
    both.
    """
    question = "Say hello."
    system = json.loads(setting.run("call", "skill.get", '{"name": "general-assistant"}'))["instructions"]
    ours = [setting.agentgw, "run", "--no-session", "-m", os.fspath(MODEL), question]
    theirs = [os.fspath(LLM), "-m", "SmolLM2", "-s", system, question]

    def first_byte() -> float:
        setting.stop()
        return Streamed(ours, setting.environment).first_s

    first_byte()
    yield Figure.compared(
        "cold", "cold start to first byte",
        (shown(ours), shown([*theirs[:4], "(the same system prompt)", question])),
        interleave((first_byte, lambda: Streamed(theirs, setting.environment).first_s), setting.rounds),
        unit="s", at="most", target=1,
    )  # fmt: skip


def idle(setting: Setting) -> Iterator[Figure]:
    """A daemon that has answered, has no worker and is left alone; for its memory it has ten jobs."""
    setting.stop()
    with setting.variant() as home:
        daily = (
            {"name": f"j{number}", "message": "hi", "cron_expression": f"{number} 3 * * *"} for number in range(10)
        )
        write_jobs(home, list(daily))
        home.run("run", "-m", "echo", "hi")
        time.sleep(SETTLE_S)
        resident = resident_bytes(home.status()["pid"])
    setting.run("run", "-m", "echo", "hi")
    pid = setting.status()["pid"]
    time.sleep(SETTLE_S)
    before = wake_ups(pid)
    time.sleep(IDLE_S)
    after = wake_ups(pid)
    yield Figure(
        case="idle", what="resident memory of an idle daemon with ten jobs", command="VmRSS", unit="MB",
        measured=resident / 1e6, at="most", target=60,
    )  # fmt: skip
    # The daemon looks after its socket's path and its database every 5 s, and after the jobs file every 30 s.
    yield Figure(
        case="idle", what=f"wake-ups of an idle daemon in {IDLE_S} s", command="voluntary_ctxt_switches", unit="",
        measured=woken(before, after), at="most", target=IDLE_S / 5 * 2,
    )  # fmt: skip


CASES: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {
    "overhead": overhead,
    "ping": ping,
    "prompt": prompt,
    "deltas": deltas,
    **STREAMS,
    **MAP,
    **CACHE,
    **READINESS,
    **WORKER,
    **SEARCH,
    **KNOWLEDGE,
    **LABELLED,
    "cold": cold,
    "idle": idle,
    "jobs": jobs,
    **HTTP,
    "chat": chat,
    "sleep": sleep,
}


@contextlib.contextmanager
def _echo(path: str) -> Iterator[None]:
    """The bare server at this path; it is killed in the end."""
    command = (sys.executable, os.fspath(HERE / "bare_echo.py"), path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        try:
            if child.stdout is None or child.stdout.readline() != "ready\n":
                raise SystemExit("bench: bare_echo.py did not start")
            yield
        finally:
            child.kill()


def _dial(path: str) -> socket.socket:
    dialled = socket.socket(socket.AF_UNIX)
    dialled.connect(path)
    return dialled


def _round_trip_us(dialled: socket.socket, frame: bytes) -> float:
    """Median microseconds of a round's calls."""
    taken = []
    for _ in range(PINGS // PING_ROUNDS):
        started = time.perf_counter()
        dialled.sendall(frame)
        while not (piece := dialled.recv(65_536)).endswith(b"\n"):
            if not piece:
                raise SystemExit("bench: the connection ended before the reply")
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e6


def _delta_rate(setting: Setting, message: str, ephemeral: bool) -> float:
    times = []
    with connect_running(Paths(Environment(setting.environment))) as client:
        stream = client.stream("turn.start", message=message, model="echo", ephemeral=ephemeral)
        for notification in stream:
            if notification.method == "turn.delta":
                times.append(time.perf_counter())
    return (len(times) - 1) / (times[-1] - times[0])
