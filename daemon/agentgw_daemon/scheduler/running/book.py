"""The jobs file as the daemon has it: read again when it has changed, edited one edit at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import trio

from agentgw_daemon.observability.supervision import internal_error
from agentgw_daemon.scheduler.file.entries import JobsFileContents
from agentgw_daemon.scheduler.file.jobs_file import JobsFile, edit_jobs, read_jobs
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.scheduler.schedules.zones import local_zone
from agentgw_daemon.system.text_file import Version, version_of
from agentgw_daemon.text.yaml_entries import EntryProblem

log = logging.getLogger(__name__)

# Reading 500 jobs takes a second or two.
_READ_S: Final = 20.0


class JobsBook:
    """The file at `path`; `home` is what ~ means in it, `zone` the machine's time zone."""

    def __init__(self, path: Path, *, home: Path, zone: Callable[[], ZoneInfo] = local_zone) -> None:
        self.path = path
        self.home = home
        self._find_zone = zone
        self.zone: ZoneInfo = ZoneInfo("UTC")
        self.read = JobsFile(path=path, version=Version(), text="", contents=JobsFileContents())
        self._has_read = False
        self._is_late = False
        self._complaints: tuple[str, ...] = ()
        self._editing = trio.Lock()

    @property
    def jobs(self) -> Mapping[str, Job]:
        """By name, as the file has them."""
        return {job.name: job for job in self.read.contents.jobs}

    async def look(self, *, anew: bool = False) -> bool:
        """Read the file where it has changed, or the machine's zone has, or `anew`; tells whether it was read."""
        zone, version, found = self.zone, self.read.version, None
        with trio.move_on_after(_READ_S):
            zone = await trio.to_thread.run_sync(self._find_zone, abandon_on_cancel=True)
            version = await trio.to_thread.run_sync(version_of, self.path, abandon_on_cancel=True)
            moved = zone.key != self.zone.key
            if self._has_read and not moved and not anew and version == self.read.version:
                return False
            found = await trio.to_thread.run_sync(self._read, version, zone, abandon_on_cancel=True)
        if found is None:
            # A network file system that hangs, most likely: what was read goes on holding.
            if not self._is_late:
                log.warning("%s cannot be looked at within %g s", self.path, _READ_S)
            self._is_late = True
            return False
        self._is_late = False
        self.zone = zone
        self.read = found
        self._has_read = True
        complaints = self.read.problems()
        for line in complaints:
            if line not in self._complaints:
                log.warning("%s", line)
        self._complaints = complaints
        return True

    async def edit(self, edit: Callable[[str], str]) -> None:
        """Write what `edit` makes of the file's text. Raises what it raises, and StorageUnavailable."""
        async with self._editing:
            # An edit that has begun ends: half of it would be a file that nobody waits for.
            await trio.to_thread.run_sync(edit_jobs, self.path, edit)

    def _read(self, version: Version, zone: tzinfo) -> JobsFile:
        try:
            found = read_jobs(self.path, home=self.home, zone=zone)
        except Exception as error:  # noqa: BLE001 - supervision point: a file of any content costs itself
            reason = internal_error(error, f"reading {self.path}").message
            contents = JobsFileContents(problems=(EntryProblem(line=1, reason=reason),))
            return JobsFile(path=self.path, version=version, text=None, contents=contents)
        if found.version == Version() and version != Version():
            # It cannot be opened: known by what the file system says of it, so that it is not read each time.
            return JobsFile(path=found.path, version=version, text=found.text, contents=found.contents)
        return found
