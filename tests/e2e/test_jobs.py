"""Scheduled jobs with the real binary: the old file, every kill, exit statuses."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home, kill, until
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.e2e

OLD = """# from before
jobs:
  - name: hello
    skill_name: general_assistant
    message: say hello
    cron_expression: "0 9 * * *"
    enabled: true
    log_output: true
"""


def write_jobs(home: Home, text: str) -> Path:
    file = home.path / "config" / "jobs.yaml"
    for folder in (home.path, file.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    file.write_text(text)
    return file


def rows(home: Home, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(home.database_copy())) as db:
        return db.execute(sql).fetchall()


@pytest.fixture
def echo_home(home: Home) -> Home:
    home.configure('[model]\ndefault = "echo"\n')
    return home


def test_a_file_of_the_predecessor_runs_as_it_is_and_a_run_says_how_it_went(echo_home: Home) -> None:
    home = echo_home
    file = home.work / "my_jobs.yaml"
    file.write_text(OLD)
    home.serve("--scheduler-config", "my_jobs.yaml", "--no-scheduler")
    status = home.call("daemon.status")["scheduler"]
    assert status == {"enabled": False, "jobs_count": 1, "jobs": ["hello"]}
    assert home.ask("jobs", "run", "hello", "--wait") == "say hello\n"
    (run,) = json.loads(home.ask("jobs", "history", "--json"))["runs"]
    assert (run["status"], run["reason"]) == ("ok", "manual")
    assert "job hello answers: say hello" in home.log
    file.write_text(OLD.replace("say hello\n", "say hello\n    model: none/such\n"))
    done = home.run("jobs", "run", "hello", "--wait")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("agentgw: hello failed: ")
    assert file.read_text().startswith("# from before\n")


def test_a_bad_entry_is_told_by_list_and_doctor_and_the_others_run(echo_home: Home) -> None:
    home = echo_home
    file = write_jobs(home, "jobs:\n  - {name: a, message: hi, every: 1 second}\n  - {name: b, message: x}\n")
    home.daemon()
    until(lambda: home.call("job.history", name="a")["runs"], "the good one runs")
    assert f"agentgw: {file}:3: the job has no time" in home.run("jobs").err
    findings = home.call("daemon.doctor")["findings"]
    assert [one["severity"] for one in findings if one["check"] == "jobs"] == ["error"]


# Libraries, and parts of them, that an idle daemon has no use for; each takes a megabyte of its sixty.
UNWANTED = {
    "asyncio", "click", "dateutil", "hnswlib", "http.server", "jinja2", "llama_cpp", "numpy", "pandas", "pygments",
    "rich", "sentence_transformers", "socketserver", "tokenizers", "torch", "watchfiles",
}  # fmt: skip


def test_a_daemon_with_ten_jobs_imports_nothing_that_it_has_no_use_for(echo_home: Home) -> None:
    home = echo_home
    home.configure('[model]\ndefault = "echo"\n[log]\nlevel = "debug"\n')
    write_jobs(
        home, "jobs:\n" + "".join(f"  - {{name: j{n}, message: hi, every: day at 0{n}:30}}\n" for n in range(10))
    )
    with (home.work / "said").open("wb") as said:
        daemon = home.start("serve", environ={"PYTHONPROFILEIMPORTTIME": "1"}, stdout=subprocess.DEVNULL, stderr=said)
        until(lambda: "everything is imported" in home.log, "all is imported")
        assert len(home.call("job.list")["jobs"]) == 10
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE_S) == 0
    lines = (home.work / "said").read_text().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert {"ruamel.yaml", "httpx", "sqlite_utils", "agentgw_daemon.app"} <= imported
    assert not imported & UNWANTED


def test_what_a_kill_cuts_off_in_a_tool_call_is_not_done_again(home: Home, endpoint: Endpoint) -> None:
    write_jobs(
        home,
        f"jobs:\n  - {{name: a, message: do it, model: scripted/m, on: {home.work}/go, settle_s: 0, retries: 3,"
        f" approvals: [run_command], cwd: {home.work}}}\n",
    )
    pipe = home.work / "pipe"
    os.mkfifo(pipe)
    pid = home.daemon()
    home.call("job.run", name="a")
    effect = home.work / "effect"
    endpoint.next().call("run_command", argv=["sh", "-c", "echo ran >> effect; cat pipe"])
    until(effect.exists, "the command runs")
    kill(pid)
    # The command ends by itself.
    pipe.open("w").close()
    home.daemon()
    (run,) = home.call("job.history")["runs"]
    assert (run["status"], run["why"]) == ("interrupted", "agentgw ended while it ran")
    assert home.call("turn.show", turn_id=run["turn_id"])["turn"]["state"] == "interrupted"
    assert effect.read_text() == "ran\n"


@pytest.mark.parametrize("ended", ["stopped", "killed"])
def test_a_run_that_waits_for_an_answer_when_the_daemon_ends_is_the_same_run_afterwards(
    home: Home, endpoint: Endpoint, ended: str
) -> None:
    write_jobs(
        home,
        f"jobs:\n  - {{name: a, message: do it, model: scripted/m, on: {home.work}/go, retries: 3,"
        f" cwd: {home.work}}}\n",
    )
    pid = home.daemon()
    home.call("job.run", name="a")
    endpoint.next().call("run_command", argv=["sh", "-c", "echo ran >> effect"])
    (asked,) = until(lambda: home.call("approval.list")["approvals"], "it is asked")
    if ended == "stopped":
        home.ask("stop")
    else:
        kill(pid)
    home.daemon()
    (run,) = home.call("job.history")["runs"]
    assert (run["status"], run["turn_id"]) == ("running", asked["turn_id"])
    home.ask("approvals", "answer", asked["approval_id"], "once")
    endpoint.next().end("all done")
    until(lambda: home.call("job.history")["runs"][0]["status"] != "running", "the run has its end")
    (run,) = home.call("job.history")["runs"]
    assert (run["status"], run.get("why"), run["turn_id"]) == ("ok", None, asked["turn_id"])
    assert (home.work / "effect").read_text() == "ran\n"


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.chaos)])
def test_a_job_runs_at_most_once_for_each_time_whenever_the_daemon_is_killed(
    echo_home: Home, chaos: Callable[[int], int], kills: int
) -> None:
    home, chance = echo_home, random.Random(kills)
    write_jobs(home, "jobs:\n" + "".join(f"  - {{name: j{n}, message: hi, every: 1 second}}\n" for n in range(3)))
    points = ("job-run-unstored", "job-run-stored")
    for _ in range(kills if kills < 10 else chaos(kills)):
        before = home.log.count(" starts: run ")
        faults = {"AGENTGW_FAIL": f"{chance.choice(points)}:0.3:kill"} if chance.random() < 0.5 else {}
        daemon = home.start("serve", environ=faults)
        until(lambda: daemon.poll() is not None or home.log.count(" starts: run ") > before + 3, "jobs run")  # noqa: B023
        if daemon.poll() is None:
            daemon.kill()
        daemon.wait()
    home.run("stop")
    home.serve("--no-scheduler")
    home.call("job.list")
    home.stop()
    runs = rows(home, "SELECT job, scheduled_for, attempt, status, turn_id FROM job_runs")
    assert runs
    assert max(Counter(run[:3] for run in runs).values()) == 1
    turns = [run[4] for run in runs if run[4] is not None]
    assert len(turns) == len(set(turns))
    assert {run[3] for run in runs} <= {"ok", "interrupted", "missed", "skipped"}
    (asked,) = rows(home, "SELECT count(*) FROM turns")[0]
    assert isinstance(asked, int)
    assert asked <= sum(run[3] in ("ok", "interrupted") for run in runs)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("-s", "code-asistant"), 1, "there is no skill code-asistant. did you mean code-assistant?"),
        (("-m", "nosuch"), 4, "there is no model nosuch"),
        (("--approve", "curent_time"), 1, "there is no tool curent_time. did you mean current_time?"),
    ],
)
def test_a_job_for_what_does_not_exist_is_not_written(
    shared_home: Home, words: tuple[str, ...], status: int, told: str
) -> None:
    done = shared_home.run("jobs", "add", "say hello", "--every", "day at 08:30", *words)
    assert (done.status, done.out) == (status, "")
    assert told in done.err
    assert json.loads(shared_home.ask("jobs", "--json"))["jobs"] == []
