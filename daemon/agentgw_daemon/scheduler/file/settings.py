"""One entry of the jobs file to one job: keys, types and bounds. Does no I/O."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Final, TypeVar, get_args
from zoneinfo import ZoneInfo

from agentgw_daemon.scheduler.job import CHANNELS, NEEDS, Job, Misfire, Need, Notify, NotifyChannel, Overlap
from agentgw_daemon.scheduler.schedules.cron import parse_cron
from agentgw_daemon.scheduler.schedules.every import parse_every
from agentgw_daemon.scheduler.schedules.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules.schedule import OnPath, Schedule, parse_at
from agentgw_daemon.scheduler.schedules.zones import zone_named
from agentgw_daemon.text.yaml_document import BadNode, ListNode, MappingNode, Node, ScalarNode
from agentgw_daemon.text.yaml_entries import MAX_LIST, EntryRefused, EntryValues

T = TypeVar("T")

KEYS: Final = (
    "name", "message", "skill_name", "cron_expression", "every", "at", "on", "settle_s", "enabled", "log_output",
    "tz", "misfire", "grace_s", "jitter_s", "overlap", "timeout_s", "retries", "approvals", "needs", "power", "notify",
    "model", "files", "cwd",
)  # fmt: skip
# The command line's names for them; taken here too.
_ALIASES: Final = {"skill": "skill_name", "cron": "cron_expression"}
_SCHEDULES: Final = ("cron_expression", "every", "at", "on")

_MAX_MESSAGE: Final = 100_000
_MAX_RETRIES: Final = 10
_DAY_S: Final = 86_400.0
_YEAR_S: Final = 366 * _DAY_S
# Editors and browsers write in several goes, seconds apart at most.
_SETTLE_S: Final = 10.0


def job_of(node: Node, *, home: Path, zone: tzinfo) -> Job:
    """The job that an entry describes. Raises EntryRefused."""
    entry = _JobEntry(node, home)
    named = entry.zone()
    schedule = entry.schedule(zone=named or zone)
    misfire: Misfire = entry.choice("misfire", get_args(Misfire), "run_once")
    overlap: Overlap = entry.choice("overlap", get_args(Overlap), "skip")
    return Job(
        name=entry.name(),
        message=entry.message(),
        schedule=schedule,
        line=entry.line,
        skill=entry.text("skill_name"),
        model=entry.text("model"),
        enabled=entry.boolean("enabled", True),
        log_output=entry.boolean("log_output", False),
        zone=named,
        misfire=misfire,
        grace_s=entry.seconds("grace_s", None, most=_YEAR_S),
        jitter_s=entry.seconds("jitter_s", 0.0, most=_DAY_S) or 0.0,
        overlap=overlap,
        timeout_s=entry.seconds("timeout_s", None, most=_YEAR_S, above_zero=True),
        retries=entry.integer("retries", 0, most=_MAX_RETRIES),
        approvals=entry.approvals(),
        needs=entry.needs(),
        notify=entry.notify(),
        files=tuple(str(entry.path(word)) for word in entry.words("files")),
        cwd=entry.folder("cwd"),
    )


class _JobEntry(EntryValues):
    """Reads the values of one entry."""

    def __init__(self, node: Node, home: Path) -> None:
        super().__init__(node, "job", KEYS, _ALIASES)
        self._home = home

    def message(self) -> str:
        """The message of the turn."""
        message = self.required("message")
        if len(message) > _MAX_MESSAGE:
            raise self.refused("message", f"has more than {_MAX_MESSAGE} characters")
        return message

    def schedule(self, *, zone: tzinfo) -> Schedule:
        """The one schedule of the entry."""
        given = [name for name in self.values if name in _SCHEDULES]
        if not given:
            raise EntryRefused(self.line, f"the job has no time: give one of {', '.join(_SCHEDULES)}")
        if len(given) > 1:
            raise self.refused(given[1], f"the job has {given[0]} already; give one of them")
        if "settle_s" in self.values and given != ["on"]:
            raise self.refused("settle_s", "belongs to `on`")
        (name,) = given
        text = self.text(name) or ""
        if name == "on":
            settle = self.seconds("settle_s", _SETTLE_S, most=_DAY_S)
            return OnPath(path=self.path(text, name), settle_s=_SETTLE_S if settle is None else settle)
        readers: dict[str, Callable[[str], Schedule]] = {
            "cron_expression": parse_cron, "every": parse_every, "at": parse_at,
        }  # fmt: skip
        return self._taken(name, lambda: readers[name](text))

    def zone(self) -> ZoneInfo | None:
        """The zone, None for the machine's."""
        name = self.text("tz")
        return self._taken("tz", lambda: zone_named(name)) if name is not None else None

    def _taken(self, name: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except ScheduleRefused as refused:
            raise self.refused(name, str(refused)) from None

    def approvals(self) -> tuple[str, ...] | None:
        """Tools allowed without asking; none for `deny`."""
        words = self.words("approvals")
        if "approvals" not in self.values:
            return None
        if "deny" in words and len(words) > 1:
            raise self.refused("approvals", "is `deny` or a list of tools, not both")
        return () if words == ("deny",) else words

    def needs(self) -> frozenset[Need]:
        """The needs that must be met before a run starts."""
        needs = set(self._known("needs", NEEDS))
        power = self.choice("power", ("any", "ac"), "any")
        return frozenset(needs | ({"ac"} if power == "ac" else set()))

    def _known(self, name: str, allowed: tuple[T, ...]) -> tuple[T, ...]:
        found = []
        for text in self.words(name):
            match = [word for word in allowed if word == text]
            if not match:
                raise self.refused(name, f"{text[:64]!r} is none of {', '.join(map(str, allowed))}")
            found += match
        return tuple(found)

    def notify(self) -> Notify:
        """Channels as words, and `mail: command` as a mapping or among them."""
        found = self.values.get("notify")
        if found is None:
            return Notify()
        channels: list[NotifyChannel] = []
        mail: tuple[str, ...] = ()
        items = found[1].items if isinstance(found[1], ListNode) else (found[1],)
        for item in items[:MAX_LIST]:
            match item:
                case ScalarNode(text=text):
                    known = [channel for channel in CHANNELS if channel == text.strip()]
                    if not known:
                        said = f"{text[:64]!r} is none of {', '.join(CHANNELS)} and no `mail: command`"
                        raise EntryRefused(item.span.line, f"notify: {said}")
                    channels += known
                case MappingNode(entries=((ScalarNode(text="mail"), command),)):
                    mail = self._command(command)
                case BadNode(reason=reason):
                    raise EntryRefused(item.span.line, f"notify: {reason}")
                case _:
                    raise EntryRefused(item.span.line, "notify: must be words or `mail: command`")
        return Notify(channels=tuple(dict.fromkeys(channels)), mail=mail)

    def _command(self, node: Node) -> tuple[str, ...]:
        """A command with its arguments; no shell ever reads it, and only its program may begin with ~/."""
        try:
            match node:
                case ScalarNode(text=text):
                    words = tuple(shlex.split(text))
                case ListNode(items=items):
                    words = tuple(item.text for item in items if isinstance(item, ScalarNode))
                    if len(words) != len(items):
                        raise ValueError("must be a list of words")
                case _:
                    raise ValueError("must be a command")
            if not words or not words[0]:
                raise ValueError("is empty")
        except ValueError as error:
            raise EntryRefused(node.span.line, f"notify: mail: {error}") from None
        program = str(self._home / words[0][2:]) if words[0].startswith("~/") else words[0]
        return (program, *words[1:])

    def folder(self, name: str) -> Path | None:
        """An absolute path."""
        text = self.text(name)
        return self.path(text, name) if text is not None else None

    def path(self, text: str, name: str = "files") -> Path:
        """An absolute path; ~ is the user's home, relative ones have nothing to be relative to."""
        written = text.strip()
        path = self._home / written[2:] if written.startswith("~/") else Path(written)
        if written == "~":
            path = self._home
        if not path.is_absolute():
            raise self.refused(name, f"{text[:64]!r} is not absolute; begin it with / or ~/")
        return path
