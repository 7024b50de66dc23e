"""From the text of the jobs file to jobs: each entry by itself, so that a bad one is told and the others run.

Does no I/O. Problems carry the line; whoever shows them adds the file.
"""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import Final

from agentgw.protocol.schema import record
from agentgw_daemon.scheduler.file.settings import KEYS, job_of
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.text.yaml_entries import EntryRefused, entries_of, name_of

# One person's jobs; each is asked for its next time when the file is read.
MOST_JOBS: Final = 500


@record
class Problem:
    """Fault that keeps an entry, or the whole file, from being used. `job` is the entry's name where it can be
    read.
    """

    line: int
    reason: str
    job: str | None = None


@record
class JobsFileContents:
    """Content of the jobs file. `complete` when nothing in it was left out, so that who is not in it is gone."""

    jobs: tuple[Job, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def complete(self) -> bool:
        """Tells whether every entry was understood."""
        return not self.problems


def read_entries(text: str, *, home: Path, zone: tzinfo) -> JobsFileContents:
    """The jobs and problems of a text. `home` is what ~ means, `zone` the machine's, to check times with."""
    entries = entries_of(text, "jobs", KEYS, most=MOST_JOBS)
    problems = [Problem(line=refused.line, reason=refused.reason) for refused in entries.refused]
    jobs: dict[str, Job] = {}
    for number, node in enumerate(entries.nodes):
        if number == MOST_JOBS:
            problems.append(Problem(line=node.span.line, reason=f"a file holds at most {MOST_JOBS} jobs"))
            break
        try:
            job = job_of(node, home=home, zone=zone)
            if job.name in jobs:
                raise EntryRefused(
                    node.span.line, f"the name {job.name!r} is taken by the job in line {jobs[job.name].line}"
                )
            jobs[job.name] = job
        except EntryRefused as refused:
            problems.append(Problem(line=refused.line, reason=refused.reason, job=name_of(node)))
    return JobsFileContents(jobs=tuple(jobs.values()), problems=tuple(problems))
