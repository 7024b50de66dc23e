"""Checks of scheduled jobs: entries of their file that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agentgw_daemon.doctor.context import DoctorContext, Verdict, error, fine

# As many as anybody corrects at once.
_SHOWN: Final = 10


def check_jobs(context: DoctorContext) -> Iterable[Verdict]:
    """Every entry of the jobs file can be used."""
    problems = tuple(context.job_problems())
    for problem in problems[:_SHOWN]:
        named = f"job {problem.job}: " if problem.job is not None else ""
        yield error(f"{context.jobs_file}:{problem.line}: {named}{problem.reason}", "correct the line; other jobs run")
    if len(problems) > _SHOWN:
        yield error(f"{len(problems) - _SHOWN} more problems in {context.jobs_file}", "agentgw jobs lists them")
    if not problems:
        yield fine("the jobs file can be used")
