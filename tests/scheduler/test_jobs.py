"""Requests of clients about jobs: the file edited with its comments, names, times, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from agentgw.protocol.calls.jobs import JobAddParams
from agentgw.protocol.errors import AlreadyExists, InvalidParams, NotFound
from agentgw_daemon.scheduler.running import scheduler
from tests.scheduler.made import HOUR_S
from tests.scheduler.running.office import FakeTurns, office

pytestmark = pytest.mark.anyio

OLD = """# mine
jobs:
  - name: old  # as it was
    skill_name: summarize-document
    message: "sum up"
    cron_expression: "0 9 * * *"
    enabled: true
    log_output: true
"""


async def test_a_new_job_is_written_below_the_old_ones_and_shows_its_next_times(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        made.file.write_text(OLD)
        added = await made.jobs.add(
            JobAddParams(
                message="summarise my inbox notes", every="day at 08:45", skill="summarize-document",
                files=("/home/me/inbox",), approvals=("deny",), needs=("ac",), retries=2, notify=("desktop",),
            )
        )  # fmt: skip
        assert added.job.name == "summarise-my-inbox-notes"
        assert added.times[:2] == ("2026-11-02T07:45:00.000Z", "2026-11-03T07:45:00.000Z")
        assert made.file.read_text() == OLD + (
            "  - name: summarise-my-inbox-notes\n    message: summarise my inbox notes\n    every: \"day at 08:45\"\n"
            "    skill_name: summarize-document\n    files: [/home/me/inbox]\n    retries: 2\n    approvals: deny\n"
            "    needs: [ac]\n    notify: [desktop]\n"
        )  # fmt: skip
        assert [job.name for job in (await made.jobs.list()).jobs] == ["old", added.job.name]


async def test_switching_and_removing_keep_every_other_byte(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        made.file.write_text(OLD)
        assert (await made.jobs.enable("old", False)).state == "off"
        assert made.file.read_text() == OLD.replace("enabled: true", "enabled: false")
        assert (await made.jobs.enable("old", True)).next_at == "2026-11-02T08:00:00.000Z"
        assert made.file.read_text() == OLD
        await made.jobs.remove("old")
        assert made.file.read_text().startswith("# mine\njobs:\n")
        assert (await made.jobs.list()).jobs == ()


async def test_names_are_made_of_the_message_and_are_free(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        names = [
            (await made.jobs.add(JobAddParams(message=message, every="hour"))).job.name
            for message in ("Sum up!", "sum UP", "…", "ünïcode 日本")
        ]
        assert names == ["sum-up", "sum-up-2", "job", "ünïcode-日本"]
        with pytest.raises(AlreadyExists):
            await made.jobs.add(JobAddParams(message="x", name="job", every="hour"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"at": "2026-11-02T08:00"}, "has passed, so nothing would ever start the job"),
        ({"at": "2026-11-02T09:00", "tz": "Asia/Tokyo"}, "has passed"),
        ({"at": "tomorrow"}, "is no time"),
        ({"at": "2027-01-01T00:00", "tz": "Mars/Olympus"}, "no time zone"),
        ({"every": "fortnight"}, "is not understood"),
        ({"cron": "* * *"}, ""),
        ({}, "the job has no time"),
        ({"every": "hour", "at": "2030-01-01T00:00"}, "give one of them"),
        ({"on": "inbox"}, "is not absolute"),
        ({"every": "hour", "name": "-x"}, "begins with a dash"),
        ({"every": "hour", "name": "a\nb"}, "cannot be shown"),
        ({"every": "hour", "approvals": ("deny", "x")}, "not both"),
        ({"every": "hour", "grace_s": 1e12}, "is no number of seconds"),
        ({"every": "hour", "files": ("relative",)}, "is not absolute"),
    ],
)
async def test_what_would_never_run_is_refused_and_the_file_stays(
    tmp_path: Path, given: dict[str, object], said: str
) -> None:
    async with office(tmp_path) as made:
        made.file.write_text(OLD)
        with pytest.raises(InvalidParams) as refused:
            await made.jobs.add(JobAddParams(message="x", **given))  # type: ignore[arg-type]  # of the cases above
        assert said in refused.value.message
        assert made.file.read_text() == OLD


async def test_a_job_that_is_unknown_or_broken_says_which(tmp_path: Path) -> None:
    async with office(tmp_path, "name: b, message: x, every: fortnight") as made:
        for ask in (made.jobs.remove("x"), made.jobs.enable("x", True), made.jobs.run("x", wait=False)):
            with pytest.raises(NotFound):
                await ask
        with pytest.raises(NotFound):
            await made.jobs.history("x", 10, None)
        with pytest.raises(NotFound):
            await made.jobs.times("x", 1)
        with pytest.raises(InvalidParams, match=r"jobs\.yaml:2: every"):
            await made.jobs.run("b", wait=False)


async def test_the_history_of_a_job_that_is_gone_stays(tmp_path: Path) -> None:
    async with office(tmp_path, 'name: a, message: x, cron_expression: "0 * * * *"') as made:
        await made.look(HOUR_S)
        await made.jobs.remove("a")
        assert [run.status for run in (await made.jobs.history("a", 10, None)).runs] == ["ok"]


async def test_who_asks_before_the_first_look_hears_of_the_jobs_and_of_the_runs_that_were_cut_off(
    tmp_path: Path,
) -> None:
    turns = FakeTurns()
    turns.at_once = False
    async with office(
        tmp_path, 'name: a, message: x, cron_expression: "0 * * * *"', "name: b, message: x, every: hour", turns=turns
    ) as made:
        await made.jobs.run("a", wait=False)
        assert await made.statuses() == ["running"]
    async with office(tmp_path, has_looked=False) as made:
        assert [run.status for run in (await made.jobs.history("a", 10, None)).runs] == ["interrupted"]
    async with office(tmp_path, has_looked=False) as made:
        assert (await made.jobs.history("b", 10, None)).runs == ()
    async with office(tmp_path, has_looked=False) as made, trio.open_nursery() as nursery:
        nursery.start_soon(made.scheduler.look)
        await made.scheduler.look_first()
        assert set(made.jobs.names) == {"a", "b"}


async def test_a_first_look_that_hangs_holds_up_nobody_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_FIRST_LOOK_S", 0.01)
    async with office(tmp_path, "name: a, message: x, every: hour", has_looked=False) as made:
        async with made.scheduler._lock, trio.open_nursery() as nursery:
            # As a daemon's own look at a file that cannot be read to its end.
            nursery.start_soon(made.scheduler.look_first)
        assert made.jobs.names == ()
        await made.scheduler.look_first()
        assert made.jobs.names == ("a",)


async def test_the_next_times_are_sorted_over_all_jobs(tmp_path: Path) -> None:
    async with office(
        tmp_path, 'name: a, message: x, cron_expression: "0 9,11 * * *"', "name: b, message: x, every: day at 10:00",
        "name: c, message: x, on: /tmp/c", "name: d, message: x, every: hour, enabled: false",
    ) as made:  # fmt: skip
        times = (await made.jobs.times(None, 2)).times
        assert [(one.job, one.at[8:13]) for one in times] == [
            ("a", "02T08"),
            ("b", "02T09"),
            ("a", "02T10"),
            ("b", "03T09"),
        ]
        assert len((await made.jobs.times("b", 3)).times) == 3


async def test_states_of_jobs(tmp_path: Path) -> None:
    async with office(
        tmp_path, "name: once, message: x, at: 2026-11-02T08:31", "name: off, message: x, every: hour, enabled: no",
        "name: path, message: x, on: /tmp/c", "name: cron, message: x, every: hour",
    ) as made:  # fmt: skip
        states = {job.name: job.state for job in (await made.jobs.list()).jobs}
        assert states == {"once": "scheduled", "off": "off", "path": "scheduled", "cron": "scheduled"}
        assert made.jobs.anything_scheduled
        await made.look(61)
        assert {job.name: job.state for job in (await made.jobs.list()).jobs}["once"] == "over"
        made.write("name: once, message: x, at: 2026-11-02T08:31")
        await made.look()
        assert not made.jobs.anything_scheduled


async def test_a_reload_says_whether_the_file_says_something_else(tmp_path: Path) -> None:
    async with office(tmp_path) as made:
        made.file.write_text(OLD)
        assert await made.jobs.reload()
        assert not await made.jobs.reload()


async def test_a_misspelt_job_is_told_with_the_nearest(tmp_path: Path) -> None:
    async with office(tmp_path, "name: notes, message: x, every: hour") as made:
        for asked in (
            made.jobs.run("notse", wait=True), made.jobs.remove("notse"), made.jobs.enable("notse", False),
            made.jobs.history("notse", 5, None), made.jobs.times("notse", 5),
        ):  # fmt: skip
            with pytest.raises(NotFound, match="there is no job 'notse'") as caught:
                await asked
            assert caught.value.hint == "did you mean notes?"
