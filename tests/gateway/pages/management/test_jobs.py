"""Jobs as a page: what it says of each, and that what stands in the jobs file is text to it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentgw.protocol.calls.jobs import (
    JobHistoryParams,
    JobList,
    JobNameParams,
    JobProblem,
    JobRun,
    JobRunList,
    JobRunParams,
    ScheduledJob,
)
from agentgw.protocol.calls.turns import TurnDetail, TurnIdParams
from agentgw.protocol.errors import AlreadyExists
from agentgw.protocol.types import Options, Timings, Turn, Usage
from agentgw_daemon.server.calls.request import Handler
from tests.gateway.harness import opened
from tests.gateway.pages.harness import EVIL, Visitor, text_of

pytestmark = pytest.mark.anyio


class Jobs:
    """`job.*` of these jobs, and what was asked of them."""

    def __init__(self, *jobs: ScheduledJob, runs: tuple[JobRun, ...] = (), enabled: bool = True) -> None:
        self.asked: list[tuple[str, str]] = []
        self.histories: list[JobHistoryParams] = []
        self.problems: tuple[JobProblem, ...] = ()
        self.running = False
        self._jobs, self._runs, self._enabled = jobs, runs, enabled

    def handlers(self) -> dict[str, Handler]:
        return {
            "job.list": self.list, "job.history": self.history, "job.run": self.run, "job.enable": self.enable,
            "job.disable": self.disable,
        }  # fmt: skip

    def list(self, request: Any, params: Any) -> JobList:
        return JobList(jobs=self._jobs, file="/j/jobs.toml", enabled=self._enabled, problems=self.problems)

    def history(self, request: Any, params: JobHistoryParams) -> JobRunList:
        self.histories.append(params)
        return JobRunList(runs=self._runs, next="cursor" if self._runs else None)

    def run(self, request: Any, params: JobRunParams) -> JobRun:
        if self.running:
            raise AlreadyExists("the job runs already")
        self.asked.append(("run", params.name))
        return JobRun(run_id="r", job=params.name, scheduled_for="2026-01-01T00:00:00Z", status="running")

    def enable(self, request: Any, params: JobNameParams) -> ScheduledJob:
        self.asked.append(("on", params.name))
        return job(name=params.name)

    def disable(self, request: Any, params: JobNameParams) -> ScheduledJob:
        self.asked.append(("off", params.name))
        return job(name=params.name)


def job(**more: Any) -> ScheduledJob:
    values = {"name": "news", "schedule": "every day", "message": "say it", "enabled": True, "state": "scheduled"}
    return ScheduledJob(**{**values, "line": 1, **more})


def run(**more: Any) -> JobRun:
    return JobRun(**{"run_id": "r", "job": "news", "scheduled_for": "2020-01-01T08:00:00Z", "status": "ok", **more})


async def test_a_job_tells_its_times_and_why_it_waits() -> None:
    made_of = Jobs(
        job(state="waiting", why="the network is not there", next_at="2020-02-03T04:05:00Z"),
        runs=(run(status="failed", why="the model has gone", turn_id="t-1"),),
    )  # fmt: skip
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).get("/jobs")
    text = text_of(reply)
    assert reply.status == 200
    for words in ("news", "every day", "2020-02-03 04:05 UTC", "the network is not there", "the model has gone"):
        assert words in text
    assert 'href="/turn/t-1"' in reply.body.decode()


async def test_without_jobs_the_page_says_how_one_is_made() -> None:
    async with opened(Jobs().handlers()) as made:
        text = text_of(await Visitor(made).get("/jobs"))
    assert "agentgw jobs add" in text
    assert "/j/jobs.toml" in text
    assert "Nothing has run yet" in text


@pytest.mark.parametrize(
    ("at", "shown", "links"),
    [
        ("", (0, 49), ["/jobs?from=50"]), ("50", (50, 99), ["/jobs?from=0", "/jobs?from=100"]),
        ("100", (100, 119), ["/jobs?from=50"]),
        ("-1", (0, 49), ["/jobs?from=50"]), ("9" * 30, (0, 49), ["/jobs?from=50"]),
    ],
)  # fmt: skip
async def test_a_page_has_fifty_jobs_and_leads_to_the_others(at: str, shown: tuple[int, int], links: list[str]) -> None:
    jobs = Jobs(*(job(name=f"j-{number}") for number in range(120)))
    async with opened(jobs.handlers()) as made:
        page = (await Visitor(made).get(f"/jobs?from={at}")).body.decode()
    names = re.findall(r"<h2>j-(\d+)</h2>", page)
    assert (int(names[0]), int(names[-1])) == shown
    assert re.findall(r'class="button" href="(/jobs\?from=\d+)"', page) == links
    assert f"{shown[0] + 1} to {shown[1] + 1} of 120" in page


async def test_behind_the_last_job_the_page_leads_back() -> None:
    async with opened(Jobs(job()).handlers()) as made:
        assert "There are no more jobs." in text_of(await Visitor(made).get("/jobs?from=50"))


async def test_a_daemon_that_starts_none_and_a_bad_entry_are_told() -> None:
    made_of = Jobs(enabled=False)
    made_of.problems = (JobProblem(line=7, reason="no time", job=EVIL),)
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).get("/jobs")
    assert "scheduler.enabled" in text_of(reply)
    assert f"Line 7 of the jobs file, job {EVIL}: no time" in text_of(reply)


async def test_nothing_of_a_job_is_read_as_html() -> None:
    made_of = Jobs(
        job(
            name=EVIL, message=EVIL, schedule=EVIL, zone=EVIL, why=EVIL, next_at=EVIL, last=run(why=EVIL, turn_id=EVIL)
        ),
        runs=(run(job=EVIL, why=EVIL, scheduled_for=EVIL, turn_id=EVIL),),
    )
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).get("/jobs?job=%3Cimg%20src%3Dx%3E&before=%22%3E%3Cimg")
    body = reply.body.decode()
    assert reply.status == 200
    assert "<img" not in body
    assert 'onerror="' not in body


async def test_the_runs_of_one_job_are_asked_for_by_its_name_and_cursor() -> None:
    made_of = Jobs(job(), runs=(run(),))
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        reply = await visitor.get("/jobs?job=a%2Fb&before=x")
        part = await visitor.get("/jobs?job=a%2Fb", HX_Request="true")
    assert [(asked.name, asked.before) for asked in made_of.histories] == [("a/b", "x"), ("a/b", None)]
    assert "Runs of a/b" in text_of(reply)
    assert "<html" not in part.body.decode()
    assert "before=cursor" in part.body.decode()


async def test_a_button_runs_or_switches_the_job_that_it_names() -> None:
    made_of = Jobs(job())
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        ran = await visitor.post("/jobs/run", {"job": "a/b"})
        await visitor.post("/jobs/switch", {"job": "a/b", "to": "off"})
        part = await visitor.post("/jobs/switch", {"job": "a/b", "to": "on"}, HX_Request="true")
    assert made_of.asked == [("run", "a/b"), ("off", "a/b"), ("on", "a/b")]
    assert (ran.status, ran.headers["location"]) == (303, "/jobs")
    assert (part.status, part.headers["hx-redirect"]) == (204, "/jobs")


@pytest.mark.parametrize("fields", [{}, {"job": ""}, {"job": "x" * 101}])
async def test_a_button_without_a_job_does_nothing(fields: dict[str, str]) -> None:
    made_of = Jobs(job())
    async with opened(made_of.handlers()) as made:
        visitor = Visitor(made)
        assert (await visitor.post("/jobs/run", fields)).status == 400
        assert (await visitor.post("/jobs/switch", {**fields, "to": "on"})).status == 400
        assert (await visitor.post("/jobs/switch", {"job": "news", "to": "delete"})).status == 400
    assert made_of.asked == []


async def test_a_job_that_runs_already_is_a_line_in_the_page() -> None:
    made_of = Jobs(job())
    made_of.running = True
    async with opened(made_of.handlers()) as made:
        reply = await Visitor(made).post("/jobs/run", {"job": "news"}, HX_Request="true")
    assert reply.headers["hx-retarget"] == "#problem"
    assert "The job runs already" in text_of(reply)


async def test_the_answer_of_a_run_is_a_turn_in_its_session() -> None:
    def show(request: Any, params: TurnIdParams) -> TurnDetail:
        turn = Turn(
            turn_id=params.turn_id, session_id="s-1", skill="k", model="m", state="completed", created_at=""
        )  # fmt: skip
        return TurnDetail(
            turn=turn, message="", text="", system="", options=Options(), usage=Usage(), timings=Timings()
        )  # fmt: skip

    async with opened({"turn.show": show}) as made:
        reply = await Visitor(made).get("/turn/t-1")
    assert (reply.status, reply.headers["location"]) == (303, "/session/s-1#t-1")
