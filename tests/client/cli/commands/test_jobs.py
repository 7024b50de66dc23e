"""`agentgw jobs` and `agentgw scheduler` against a fake daemon."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.commandline import Cli, Terminal
from tests.client.fakedaemon import Failure, Peer, Serve

RUN = {
    "run_id": "7", "job": "inbox", "scheduled_for": "2026-11-02T08:30:00.000Z", "status": "ok", "reason": "on_time",
    "attempt": 1, "lateness_s": 0.1, "missed": 0, "started_at": "2026-11-02T08:30:00.000Z",
    "finished_at": "2026-11-02T08:31:00.000Z", "turn_id": "t-1",
}  # fmt: skip
JOB = {
    "name": "inbox", "schedule": "every day at 08:30", "message": "look", "enabled": True, "state": "waiting",
    "line": 2, "next_at": "2026-11-03T08:30:00.000Z", "why": "needs mains power", "last": RUN,
}  # fmt: skip
LIST = {
    "jobs": [JOB], "file": "/c/jobs.yaml", "enabled": True,
    "problems": [{"line": 9, "reason": "the job has no time", "job": "b"}],
}  # fmt: skip
TIMES = ["2026-11-03T08:30:00.000Z", "2026-11-04T08:30:00.000Z", "2026-11-05T08:30:00.000Z"]
ADDED = {"job": JOB, "times": TIMES, "file": "/c/jobs.yaml"}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def test_jobs_alone_lists_them_and_what_is_wrong_on_standard_error(cli: Cli, serve: Serve) -> None:
    serve({"job.list": LIST})
    status, out, err = cli("jobs")
    assert status == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "JOB WHEN STATE NEXT LAST",
        "inbox every day at 08:30 waiting: needs mains power 2026-11-03 08:30 ok 2026-11-02 08:31",
    ]
    assert err == "agentgw: /c/jobs.yaml:9: the job has no time\n"
    assert json.loads(cli("jobs", "--json")[1]) == LIST


def test_without_a_job_the_way_to_one_is_told(cli: Cli, serve: Serve) -> None:
    serve({"job.list": {**LIST, "jobs": [], "problems": []}})
    _, _, err = cli("jobs")
    assert "agentgw jobs add" in err


def test_a_scheduler_that_is_off_is_said(cli: Cli, serve: Serve) -> None:
    serve({"job.list": {**LIST, "enabled": False, "problems": []}})
    assert "the scheduler is off" in cli("jobs", "list")[2]


def test_add_sends_absolute_paths_and_shows_the_next_times(cli: Cli, serve: Serve) -> None:
    daemon = serve({"job.add": ADDED})
    status, out, err = cli(
        "jobs", "add", "summarise", "my", "notes", "--every", "day at 08:30", "-s", "summarize-document", "-f", "inbox",
        "--needs", "ac", "--needs", "network", "--approve", "run_command,write_file", "--retries", "2", "--grace", "60",
    )  # fmt: skip
    assert status == 0
    assert out == "inbox\n  2026-11-03 08:30\n  2026-11-04 08:30\n  2026-11-05 08:30\n"
    assert err.splitlines()[0] == "agentgw: written to /c/jobs.yaml"
    assert daemon.params("job.add") == {
        "message": "summarise my notes", "every": "day at 08:30", "skill": "summarize-document",
        "files": [os.path.abspath("inbox")], "needs": ["ac", "network"], "approvals": ["run_command", "write_file"],
        "retries": 2, "grace_s": 60.0, "notify": [],
    }  # fmt: skip


def test_add_says_when_nothing_starts_the_daemon_at_login(cli: Cli, serve: Serve) -> None:
    serve({"job.add": ADDED, "job.list": LIST})
    assert (
        "nothing starts the daemon at login: agentgw service install" in cli("jobs", "add", "x", "--cron", "@daily")[2]
    )


def test_add_without_a_time_is_a_usage_error(cli: Cli, serve: Serve) -> None:
    daemon = serve({"job.add": ADDED})
    assert cli("jobs", "add", "x")[0] == 2
    assert "job.add" not in daemon.methods()


@pytest.mark.parametrize(("answer", "ran"), [("y", True), ("", False)])
def test_on_a_terminal_a_run_now_is_offered(
    terminal: Callable[..., Terminal], serve: Serve, answer: str, ran: bool
) -> None:
    daemon = serve({"job.add": ADDED, "job.run": RUN, "turn.show": {"text": "all done"}})
    screen = terminal("jobs", "add", "x", "--every", "hour")
    screen.wait_for("Run it now? [y/N]")
    screen.type(f"{answer}\r")
    assert screen.end() == 0
    assert ("job.run" in daemon.methods()) == ran


@pytest.mark.parametrize(
    ("run", "words", "status", "out", "err"),
    [
        ({**RUN, "status": "running"}, (), 0, "t-1\n", "agentgw: inbox runs; agentgw attach t-1 shows it\n"),
        (RUN, ("--wait",), 0, "all done\n", ""),
        ({**RUN, "status": "failed", "why": "no model"}, ("--wait",), 1, "", "agentgw: inbox failed: no model\n"),
        ({**RUN, "status": "interrupted", "why": "x"}, ("--wait",), 1, "", "agentgw: inbox interrupted: x\n"),
    ],
)
def test_run_succeeds_only_if_the_run_does(
    cli: Cli, serve: Serve, run: dict[str, Any], words: tuple[str, ...], status: int, out: str, err: str
) -> None:
    daemon = serve({"job.run": run, "turn.show": {"text": "all done"}})
    assert cli("jobs", "run", "inbox", *words) == (status, out, err)
    assert daemon.params("job.run") == {"name": "inbox", "wait": bool(words)}


def test_history_says_what_became_of_each_time_and_why(cli: Cli, serve: Serve) -> None:
    missed = {
        **RUN, "status": "missed", "missed": 36, "lateness_s": 10_800.0, "why": "the computer was asleep",
    }  # fmt: skip
    del missed["reason"], missed["turn_id"]
    late = {**RUN, "reason": "catch_up", "missed": 100, "more": True, "lateness_s": 90.0}
    again = {**RUN, "reason": "retry", "attempt": 2}
    serve({"job.history": {"runs": [late, again, missed], "next": "x"}})
    status, out, err = cli("jobs", "history", "inbox", "-n", "3")
    assert (status, err) == (0, "agentgw: there are more: -n 6 shows them\n")
    lines = [" ".join(line.split()) for line in out.splitlines()[1:]]
    assert lines == [
        "inbox 2026-11-02 08:30 ok catch up for 100+ 2 min t-1",
        "inbox 2026-11-02 08:30 ok retry, attempt 2 t-1",
        "inbox 2026-11-02 08:30 missed 36 times 3.0 h the computer was asleep",
    ]


def test_next_is_a_line_a_time(cli: Cli, serve: Serve) -> None:
    daemon = serve({"job.next": {"times": [{"job": "inbox", "at": TIMES[0]}]}})
    assert cli("jobs", "next", "inbox")[1].splitlines()[1].split() == ["2026-11-03", "08:30", "inbox"]
    assert daemon.params("job.next") == {"name": "inbox", "count": 3}


def test_switching_and_removing_say_so(cli: Cli, serve: Serve) -> None:
    daemon = serve({"job.enable": JOB, "job.disable": JOB, "job.remove": {"ok": True}})
    assert cli("jobs", "enable", "inbox") == (0, "", "agentgw: inbox is on: next 2026-11-03 08:30\n")
    assert cli("jobs", "disable", "inbox") == (0, "", "agentgw: inbox is off\n")
    assert cli("jobs", "remove", "inbox") == (0, "", "agentgw: removed inbox; its history stays\n")
    assert daemon.params("job.remove") == {"name": "inbox"}


def test_a_job_that_is_unknown_is_an_error(cli: Cli, serve: Serve) -> None:
    def unknown(peer: Peer, params: dict[str, Any]) -> None:
        raise Failure(-32001, "there is no job 'x'", hint="`agentgw jobs` lists them")

    serve({"job.run": unknown})
    assert cli("jobs", "run", "x") == (1, "", "agentgw: there is no job 'x'. `agentgw jobs` lists them\n")


def test_the_old_spellings_warn_and_do_the_new_thing(cli: Cli, serve: Serve) -> None:
    serve({"job.list": {**LIST, "problems": []}})
    status, out, err = cli("scheduler", "--list")
    assert (status, err) == (0, "agentgw: `scheduler` is an old spelling; write `agentgw jobs list`\n")
    assert "inbox" in out
    status, out, err = cli("scheduler", "--start")
    assert (status, out.strip().isdigit()) == (0, True)
    assert "write `agentgw start`" in err
    assert cli("scheduler")[0] == 2


@pytest.mark.parametrize("given", ["", ",", "read_file,,run_command"])
def test_an_empty_tool_is_refused_before_a_job_is_written(cli: Cli, serve: Serve, given: str) -> None:
    daemon = serve({"job.add": ADDED})
    status, _, err = cli("jobs", "add", "x", "--every", "hour", "--approve", given)
    assert (status, err) == (2, "agentgw: --approve has an empty word. write names with commas between\n")
    assert "job.add" not in daemon.methods()
    cli("jobs", "add", "x", "--every", "hour", "--approve", "read_file, run_command")
    assert daemon.params("job.add")["approvals"] == ["read_file", "run_command"]


def test_what_is_not_there_yet_is_told(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    serve({"job.add": ADDED})
    here, gone = str(tmp_path), str(tmp_path / "gone")
    err = cli("jobs", "add", "x", "--on", gone, "-f", here, "-f", f"{gone}/a", "--cwd", here)[2]
    assert [line for line in err.splitlines() if "yet" in line] == [
        f"agentgw: there is no {gone}/a yet", f"agentgw: there is no {gone} yet",
    ]  # fmt: skip
