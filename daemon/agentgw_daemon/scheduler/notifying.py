"""Interface to whoever tells people and programs of a run that has ended."""

from __future__ import annotations

from typing import Protocol

from agentgw.protocol.calls.jobs import JobRun
from agentgw_daemon.scheduler.job import Job


class JobListener(Protocol):
    """Hears of the end of each run. It is called in a task of its own, and what it raises reaches the log only."""

    async def job_ended(self, job: Job, run: JobRun) -> None:
        """The run has ended, and that is stored."""
