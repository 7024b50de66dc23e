"""Jobs beside a person: the first token of a short turn while missed jobs are made up for, against none of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tests.bench.figure import Figure
from tests.bench.measure import Streamed
from tests.bench.setting import MODEL, Setting, shown
from tests.patience import PATIENCE_S

MISSED: Final = 50
TRIES: Final = 5
_HOUR: Final = timedelta(hours=1)
_SCHEDULER: Final = "AGENTGW_SCHEDULER__ENABLED"
_TURN: Final = ("-o", "temperature=0", "-o", "max_tokens=4", "Say hello in French, please.")


def jobs(setting: Setting) -> Iterator[Figure]:
    """Rounds with and without, each after a start of its own; jobs that had no run in one have it in the next."""
    setting.stop()
    with setting.variant() as home:
        words = [home.agentgw, "run", "--no-session", "-m", os.fspath(MODEL), *_TURN]
        _write_missed(home)
        beside, alone, most = list[float](), list[float](), 0
        for _ in range(home.few(5)):
            for enabled, samples in ((True, beside), (False, alone)):
                home.environment[_SCHEDULER] = str(enabled).lower()
                home.run("models", "load", os.fspath(MODEL))
                Streamed(words, home.environment)
                for _ in range(TRIES):
                    most = max(most, _wait_running(home) if enabled else 0)
                    samples.append(Streamed(words, home.environment).first_s * 1e3)
                home.stop()
    yield Figure.compared(
        "jobs", f"first byte of a short turn beside {MISSED} missed jobs", (shown(words), "the same without jobs"),
        (beside, alone), unit="ms", at="most", target=1.1,
    )  # fmt: skip
    yield Figure(
        case="jobs", what="runs at once, at most", command="agentgw jobs", unit="", measured=most, at="most", target=1
    )


def _write_missed(home: Setting) -> None:
    """A file that was there before the times that went by, so that each of them is owed a run."""
    now = datetime.now(UTC)
    at = (now - _HOUR).isoformat(timespec="seconds")
    entries = [
        {"name": f"j{number}", "message": "Count from 1 to 500: 1, 2, 3, 4,", "model": os.fspath(MODEL), "at": at}
        for number in range(MISSED)
    ]
    before = (now - 2 * _HOUR).timestamp()
    os.utime(write_jobs(home, entries), (before, before))


def write_jobs(home: Setting, entries: Sequence[Mapping[str, str]]) -> Path:
    """The jobs file of a home, with these entries."""
    file = home.directory / "home" / "config" / "jobs.yaml"
    for folder in (file.parent.parent, file.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    file.write_text(json.dumps({"jobs": entries}))
    return file


def _wait_running(home: Setting) -> int:
    """The number of runs that go on, as soon as there are any."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        states = [job["state"] for job in home.result("jobs")["jobs"]]
        if running := states.count("running"):
            return running
        time.sleep(0.1)
    raise SystemExit("bench: no missed job runs")
