"""Ends of jobs by the ways that a job names."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from agentgw.protocol.calls.jobs import JobRun
from agentgw_daemon.notifications.desktop import Desktop
from agentgw_daemon.notifications.job_news import JobNews
from agentgw_daemon.scheduler.job import Notify
from tests.notifications.bus import desktop_on, session_bus
from tests.patience import PATIENCE_S
from tests.scheduler.made import job

pytestmark = pytest.mark.anyio

RUN = JobRun(run_id="1", job="a", scheduled_for="2027-01-01T00:00:00Z", status="failed", why="no model")


async def test_a_job_is_told_of_by_each_way_it_names(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "mail"
    script.write_text(f"#!/bin/sh\ncat > {told}\n")
    script.chmod(0o700)
    wanted = True
    with session_bus(tmp_path) as address, trio.fail_after(PATIENCE_S):
        async with desktop_on(address) as screen:
            environ = {"DBUS_SESSION_BUS_ADDRESS": address, "PATH": "/bin:/usr/bin"}
            news = JobNews(Desktop(environ), environ, lambda: wanted, lambda: True)
            await news.job_ended(job(), RUN)
            assert not screen.asked
            await news.job_ended(job(notify=Notify(channels=("desktop", "webhook"), mail=(str(script),))), RUN)
            assert [one.summary for one in screen.asked] == ["job a: failed"]
            assert told.read_text().startswith("job a: failed\n\nthe run of 2027-01-01T00:00:00Z is failed: no model\n")
            wanted = False
            await news.job_ended(job(notify=Notify(channels=("desktop",))), RUN)
            assert len(screen.asked) == 1


async def test_one_way_that_fails_does_not_keep_the_other(tmp_path: Path) -> None:
    told = tmp_path / "told"
    news = JobNews(Desktop({"XDG_RUNTIME_DIR": "/nonexistent"}), {"PATH": "/bin:/usr/bin"}, lambda: True, lambda: True)
    command = ("/bin/sh", "-c", f"cat > {told}")
    await news.job_ended(job(notify=Notify(channels=("desktop",), mail=command)), RUN)
    assert "no model" in told.read_text()


async def test_a_webhook_that_nobody_has_is_missed_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    news = JobNews(Desktop({}), {}, lambda: True, lambda: False)
    await news.job_ended(job(), RUN)
    assert not caplog.records
    await news.job_ended(job(notify=Notify(channels=("webhook",))), RUN)
    assert "none in webhooks.yaml lists job.finished" in caplog.text
