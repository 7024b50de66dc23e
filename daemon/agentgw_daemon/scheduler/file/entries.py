"""From the text of the jobs file to jobs: each entry by itself, so that a bad one is told and the others run.

Does no I/O. Problems carry the line; whoever shows them adds the file.
"""

from __future__ import annotations

from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.file.settings import KEYS, job_of
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.text.yaml_entries import EntryProblem, named_entries

# One person's jobs; each is asked for its next time when the file is read.
MOST_JOBS: Final = 500


@record
class JobsFileContents:
    """Content of the jobs file. `complete` when nothing in it was left out, so that who is not in it is gone."""

    jobs: tuple[Job, ...] = ()
    problems: tuple[EntryProblem, ...] = ()

    @property
    def complete(self) -> bool:
        """Tells whether every entry was understood."""
        return not self.problems


def read_entries(text: str, *, home: Path, zone: tzinfo) -> JobsFileContents:
    """The jobs and problems of a text. `home` is what ~ means, `zone` the machine's, to check times with."""
    jobs, problems = named_entries(text, "job", KEYS, most=MOST_JOBS, read=partial(job_of, home=home, zone=zone))
    return JobsFileContents(jobs=jobs, problems=problems)
