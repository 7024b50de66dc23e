"""A scheduled job as its file says it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from agentgw.protocol.records.schema import record
from agentgw_daemon.scheduler.schedules.schedule import Schedule, fingerprint

Misfire = Literal["run_once", "skip"]
Overlap = Literal["skip", "queue"]
Need = Literal["network", "unmetered", "ac", "idle"]
NEEDS: Final[tuple[Need, ...]] = ("network", "unmetered", "ac", "idle")
NotifyChannel = Literal["desktop", "webhook"]
CHANNELS: Final[tuple[NotifyChannel, ...]] = ("desktop", "webhook")


@record
class Notify:
    """Receivers of news about a finished run; `mail` is a command that gets the message on its standard input."""

    channels: tuple[NotifyChannel, ...] = ()
    mail: tuple[str, ...] = ()


@record
class Job:
    """One entry of the jobs file. `zone` None is the machine's, `skill`, `model` and `approvals` None the default.

    `grace_s` is how late a run may start: None is any lateness under `run_once` and hardly any under `skip`.
    `approvals` are the tools a run may use without asking, none of them under `deny`.
    """

    name: str
    message: str
    schedule: Schedule
    line: int
    skill: str | None = None
    model: str | None = None
    enabled: bool = True
    log_output: bool = False
    zone: ZoneInfo | None = None
    misfire: Misfire = "run_once"
    grace_s: float | None = None
    jitter_s: float = 0.0
    overlap: Overlap = "skip"
    timeout_s: float | None = None
    retries: int = 0
    approvals: tuple[str, ...] | None = None
    needs: frozenset[Need] = frozenset()
    notify: Notify = Notify()
    files: tuple[str, ...] = ()
    cwd: Path | None = None

    @property
    def fingerprint(self) -> str:
        """A fingerprint of what its times depend on; "" while it is off. A change means that times before it
        are not its own.
        """
        if not self.enabled:
            return ""
        return fingerprint(self.schedule, self.zone.key if self.zone is not None else "")
