"""Ends of jobs, to the person who asked for it in the job's `notify`. Webhooks hear of every end by themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import trio

from agentgw.protocol.calls.jobs import JobRun
from agentgw_daemon.notifications.mail import mail
from agentgw_daemon.notifications.notice import job_notice
from agentgw_daemon.scheduler.job import Job

if TYPE_CHECKING:
    from agentgw_daemon.notifications.desktop import Desktop

log = logging.getLogger(__name__)


class JobNews:
    """The scheduler's listener."""

    def __init__(
        self,
        desktop: Desktop,
        environ: Mapping[str, str],
        is_wanted: Callable[[], bool],
        webhooks_hear: Callable[[], bool],
    ) -> None:
        self._desktop = desktop
        self._environ = environ
        self._is_wanted = is_wanted
        self._webhooks_hear = webhooks_hear

    async def job_ended(self, job: Job, run: JobRun) -> None:
        """Tell by each way that the job names; none of them waits for another."""
        notice = job_notice(run)
        if "webhook" in job.notify.channels and not self._webhooks_hear():
            log.warning("job %s asks for a webhook, but none in webhooks.yaml lists job.finished", job.name)
        async with trio.open_nursery() as nursery:
            if "desktop" in job.notify.channels and self._is_wanted():
                nursery.start_soon(self._desktop.tell, notice)
            if job.notify.mail:
                text = f"{notice.summary}\n\n{notice.body}\n"
                nursery.start_soon(mail, job.notify.mail, text, self._environ)
