"""The daemon itself, its settings and what it has stored: `hello`, `daemon.*`, `config.*`, `stats.*`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol import types as t
from agentgw.protocol.calls.documents import Reembedding
from agentgw.protocol.records.schema import Limit, record


@record
class HelloParams:
    """The client's name and version."""

    client: Annotated[str, "the program's name", Limit(max_length=100)]
    version: Annotated[str, "its version", Limit(max_length=100)]
    protocol: Annotated[int, "the wire's version it speaks"]


@record
class HelloResult:
    """The daemon's name, version and process."""

    protocol: int
    version: str
    pid: int
    instance: Annotated[str, "new at every start of the daemon"]
    started_at: str
    busy: Annotated[bool, "turns are running, so an upgrade has to wait"]
    data_dir: Annotated[str, "the directory of its database"] = ""
    data_mark: Annotated[str, "device and inode of that directory, whose path is another one in a container"] = ""


@record
class HttpStatus:
    """Doors for HTTP."""

    socket: Annotated[str | None, "of the file system; it asks for no key"] = None
    address: Annotated[str | None, "over TCP, which asks for the key"] = None
    key_file: Annotated[str | None, "where the key is, unless the daemon was given it"] = None
    error: Annotated[str | None, "why a door is missing"] = None


@record
class DaemonStatus:
    """The state of the daemon: its connections, turns, models and memory."""

    version: str
    pid: int
    uptime_s: float
    socket: str
    scheduler: t.SchedulerStatus
    service: t.ServiceStatus
    models: tuple[t.Model, ...]
    workers: tuple[t.Worker, ...]
    queue: Annotated[int, "turns that wait for a slot"]
    sessions: int
    db_bytes: int
    connections: int
    rss_bytes: int
    log: Annotated[str, "path of the log file"]
    turns: Annotated[int, "that have not ended"] = 0
    waiting: Annotated[int, "of these turns, for somebody's answer"] = 0
    reembedding: Annotated[Reembedding | None, "while documents are embedded anew"] = None
    http: Annotated[HttpStatus | None, "where HTTP is spoken"] = None
    rss_peak_bytes: Annotated[int, "the most memory since it started"] = 0
    descriptors: Annotated[int, "open files and sockets"] = 0
    descriptors_peak: Annotated[int, "the most since it started"] = 0


@record
class ShutdownParams:
    """The way to stop."""

    upgrade: Annotated[bool, "stop only when idle: a newer client wants to start its own version"] = False


@record
class ShutdownResult:
    """The answer to a stop: accepted or not."""

    stopping: bool
    reason: Annotated[str | None, "why it goes on"] = None


@record
class ReloadResult:
    """The changes that re-reading the files brought."""

    changed: tuple[str, ...]
    restart_needed: Annotated[tuple[str, ...], "changes that wait for a restart"]
    notices: Annotated[tuple[str, ...], "for whoever made the change"] = ()


@record
class DoctorResult:
    """All checks, the healthy ones too."""

    ok: bool
    findings: tuple[t.Finding, ...]


@record
class BackupParams:
    """The place of a backup."""

    path: Annotated[str, "absolute; not among the daemon's own files", Limit(min_length=1, max_length=4096)]
    force: Annotated[bool, "replace a file that is there"] = False


@record
class BackupResult:
    """A backup that was made."""

    path: str
    size_bytes: int


@record
class ConfigParams:
    """A choice of settings."""

    section: Annotated[str | None, "one section, or one key", Limit(max_length=200)] = None


@record
class ConfigSetParams:
    """The setting to change in `config.toml`."""

    key: Annotated[str, "section.key", Limit(min_length=1, max_length=200)]
    value: Annotated[str, "as a person writes it: a word, a number, true; a list with commas", Limit(max_length=10_000)]


@record
class ConfigUnsetParams:
    """The setting to take out of `config.toml`."""

    key: Annotated[str, "section.key", Limit(min_length=1, max_length=200)]


@record
class ConfigResult:
    """Every setting with its origin; secrets are shown as `***`."""

    settings: tuple[t.Setting, ...]


@record
class StatsResult:
    """Counts since the database was made."""

    sessions: int
    turns: int
    messages: int
    completion_tokens: int
    turns_by_state: dict[str, int]
    turns_by_model: dict[str, int]
    db_bytes: int
    feedback: Annotated[tuple[t.FeedbackCount, ...], "ratings by skill and model"] = ()
