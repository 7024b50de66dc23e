"""The jobs file as the daemon has it: read again when it has changed, edited one edit at a time."""

from __future__ import annotations

import logging
import time
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
# Editors empty a file, or take it away, and then write it. Jobs that are gone for a moment would be owed nothing.
_PAUSE_S: Final = 0.1
_MOST_PAUSES: Final = 3


class JobsBook:
    """The file at `path`; `home` is what ~ means in it, `zone` the machine's time zone. `pause` waits in a thread."""

    def __init__(
        self, path: Path, *, home: Path, zone: Callable[[], ZoneInfo] = local_zone,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.path = path
        self.home = home
        self._find_zone = zone
        self._pause = pause
        self.zone: ZoneInfo = ZoneInfo("UTC")
        self.read = JobsFile(path=path, version=Version(), text="", contents=JobsFileContents())
        self._has_read = False
        self._is_late = False
        self._complaints: tuple[str, ...] = ()
        self._editing = trio.Lock()

    @property
    def jobs(self) -> Mapping[str, Job]:
        """The jobs of the file, by name."""
        return {job.name: job for job in self.read.contents.jobs}

    async def look(self, *, anew: bool = False) -> bool:
        """Read the file where it has changed, or the machine's zone has, or `anew`; tells whether it was read."""
        looked: tuple[ZoneInfo, JobsFile | None] | None = None
        with trio.move_on_after(_READ_S):
            # One thread for all of it: nearly always nothing has changed, and an idle daemon is woken for that.
            looked = await trio.to_thread.run_sync(self._look, anew, abandon_on_cancel=True)
        if looked is None:
            # A network file system that hangs, most likely: what was read goes on holding.
            if not self._is_late:
                log.warning("%s cannot be looked at within %g s", self.path, _READ_S)
            self._is_late = True
            return False
        self._is_late = False
        zone, found = looked
        if found is None:
            return False
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

    def _look(self, anew: bool) -> tuple[ZoneInfo, JobsFile | None]:
        """The machine's zone, and the file where it is to be read again."""
        zone, version = self._find_zone(), version_of(self.path)
        if self._has_read and not anew and zone.key == self.zone.key and version == self.read.version:
            return zone, None
        found = self._read(version, zone)
        for _ in range(_MOST_PAUSES):
            if found.text != "" or not self.read.text:
                break
            self._pause(_PAUSE_S)
            found = self._read(version_of(self.path), zone)
        return zone, found

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
