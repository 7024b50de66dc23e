"""One entry of the jobs file to one job: keys, types and bounds. Does no I/O."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Final, TypeVar, get_args
from zoneinfo import ZoneInfo

from agentgw_daemon.scheduler.cron import parse_cron
from agentgw_daemon.scheduler.document import Bad, Listing, Mapping, Node, Scalar
from agentgw_daemon.scheduler.every import parse_every
from agentgw_daemon.scheduler.job import CHANNELS, NEEDS, Channel, Job, Misfire, Need, Notify, Overlap
from agentgw_daemon.scheduler.refusal import ScheduleRefused
from agentgw_daemon.scheduler.schedules import OnPath, Schedule, parse_at
from agentgw_daemon.scheduler.zones import zone_named

T = TypeVar("T")

KEYS: Final = (
    "name", "message", "skill_name", "cron_expression", "every", "at", "on", "settle_s", "enabled", "log_output",
    "tz", "misfire", "grace_s", "jitter_s", "overlap", "timeout_s", "retries", "approvals", "needs", "power", "notify",
    "model", "files", "cwd",
)  # fmt: skip
# What the command line calls them; taken here too.
_ALIASES: Final = {"skill": "skill_name", "cron": "cron_expression"}
_SCHEDULES: Final = ("cron_expression", "every", "at", "on")

_TRUE: Final = frozenset({"true", "yes", "on"})
_FALSE: Final = frozenset({"false", "no", "off"})
_NULL: Final = frozenset({"", "~", "null"})
# YAML's numbers without its octal, sexagesimal and infinite ones.
_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)
_MAX_NAME: Final = 100
_MAX_MESSAGE: Final = 100_000
_MAX_LIST: Final = 100
_MAX_RETRIES: Final = 10
_DAY_S: Final = 86_400.0
_YEAR_S: Final = 366 * _DAY_S
# Editors and browsers write in several goes, seconds apart at most.
_SETTLE_S: Final = 10.0


class EntryRefused(ValueError):
    """An entry that cannot be used, with the line of what is wrong."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def job_of(node: Node, *, home: Path, zone: tzinfo) -> Job:
    """The job that an entry describes. Raises EntryRefused."""
    if isinstance(node, Bad):
        raise EntryRefused(node.span.line, node.reason)
    if not isinstance(node, Mapping):
        raise EntryRefused(node.span.line, "an entry is a mapping that begins with `name:`")
    entry = _Entry(node, home)
    named = entry.zone()
    schedule = entry.schedule(zone=named or zone)
    misfire: Misfire = entry.choice("misfire", get_args(Misfire), "run_once")
    overlap: Overlap = entry.choice("overlap", get_args(Overlap), "skip")
    return Job(
        name=entry.name(),
        message=entry.message(),
        schedule=schedule,
        line=node.span.line,
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


class _Entry:
    """Reads the values of one entry, each once."""

    def __init__(self, node: Mapping, home: Path) -> None:
        self._node = node
        self._home = home
        self._values: dict[str, tuple[Scalar, Node]] = {}
        for key, value in node.entries:
            name = _ALIASES.get(key.text, key.text)
            if name not in KEYS:
                near = difflib.get_close_matches(key.text[:64], (*KEYS, *_ALIASES), n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise EntryRefused(key.span.line, f"unknown key {key.text[:64]!r}{hint}")
            if name in self._values:
                raise EntryRefused(key.span.line, f"{key.text} and {self._values[name][0].text} are the same key")
            if isinstance(value, Bad):
                raise EntryRefused(value.span.line, f"{key.text}: {value.reason}")
            # An empty value is one that is not there, as in the old file.
            if not (isinstance(value, Scalar) and value.plain and value.text.casefold() in _NULL):
                self._values[name] = (key, value)

    def _refused(self, name: str, reason: str) -> EntryRefused:
        found = self._values.get(name)
        return EntryRefused(found[1].span.line if found else self._node.span.line, f"{name}: {reason}")

    def _required(self, name: str) -> str:
        text = self.text(name)
        if text is None or not text.strip():
            raise EntryRefused(self._node.span.line, f"the job has no {name}")
        return text

    def text(self, name: str) -> str | None:
        """The text of a key."""
        found = self._values.get(name)
        if found is None:
            return None
        if not isinstance(found[1], Scalar):
            raise self._refused(name, "must be a text")
        return found[1].text

    def name(self) -> str:
        """The job's name: one short visible line."""
        name = self._required("name").strip()
        if len(name) > _MAX_NAME:
            raise self._refused("name", f"has more than {_MAX_NAME} characters")
        if not name.isprintable():
            raise self._refused("name", "has characters that cannot be shown")
        if name.startswith("-"):
            raise self._refused("name", "begins with a dash, which commands take for an option")
        return name

    def message(self) -> str:
        """The message of the turn."""
        message = self._required("message")
        if len(message) > _MAX_MESSAGE:
            raise self._refused("message", f"has more than {_MAX_MESSAGE} characters")
        return message

    def schedule(self, *, zone: tzinfo) -> Schedule:
        """The one schedule of the entry."""
        given = [name for name in self._values if name in _SCHEDULES]
        if not given:
            raise EntryRefused(self._node.span.line, f"the job has no time: give one of {', '.join(_SCHEDULES)}")
        if len(given) > 1:
            raise self._refused(given[1], f"the job has {given[0]} already; give one of them")
        if "settle_s" in self._values and given != ["on"]:
            raise self._refused("settle_s", "belongs to `on`")
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
            raise self._refused(name, str(refused)) from None

    def choice(self, name: str, allowed: tuple[T, ...], default: T) -> T:
        """One of a few words."""
        text = self.text(name)
        if text is None:
            return default
        for word in allowed:
            if word == text:
                return word
        raise self._refused(name, f"{text[:64]!r} is none of {', '.join(map(str, allowed))}")

    def boolean(self, name: str, default: bool) -> bool:
        """True or false, in the words of YAML 1.1 as old files have them."""
        text = self.text(name)
        folded = text.casefold() if text is not None else ""
        if text is None:
            return default
        if folded not in _TRUE | _FALSE:
            raise self._refused(name, f"{text[:64]!r} is neither true nor false")
        return folded in _TRUE

    def seconds(self, name: str, default: float | None, *, most: float, above_zero: bool = False) -> float | None:
        """A number of seconds."""
        text = self.text(name)
        if text is None:
            return default
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not 0 <= value <= most or (above_zero and value == 0):
            floor = "more than 0" if above_zero else "0"
            raise self._refused(name, f"{text[:64]!r} is no number of seconds from {floor} to {most:.0f}")
        return value

    def integer(self, name: str, default: int, *, most: int) -> int:
        """A whole number."""
        text = self.text(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) > most:
            raise self._refused(name, f"{text[:64]!r} is no whole number from 0 to {most}")
        return int(text)

    def words(self, name: str) -> tuple[str, ...]:
        """A list of texts; a single text is a list of one."""
        found = self._values.get(name)
        if found is None:
            return ()
        items = found[1].items if isinstance(found[1], Listing) else (found[1],)
        if len(items) > _MAX_LIST:
            raise self._refused(name, f"has more than {_MAX_LIST} entries")
        texts = []
        for item in items:
            if isinstance(item, Bad):
                raise EntryRefused(item.span.line, f"{name}: {item.reason}")
            if not isinstance(item, Scalar) or not item.text.strip():
                raise EntryRefused(item.span.line, f"{name}: must be a list of words")
            texts.append(item.text.strip())
        return tuple(dict.fromkeys(texts))

    def approvals(self) -> tuple[str, ...] | None:
        """Tools allowed without asking; none for `deny`."""
        words = self.words("approvals")
        if "approvals" not in self._values:
            return None
        if "deny" in words and len(words) > 1:
            raise self._refused("approvals", "is `deny` or a list of tools, not both")
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
                raise self._refused(name, f"{text[:64]!r} is none of {', '.join(map(str, allowed))}")
            found += match
        return tuple(found)

    def notify(self) -> Notify:
        """Channels as words, and `mail: command` as a mapping or among them."""
        found = self._values.get("notify")
        if found is None:
            return Notify()
        channels: list[Channel] = []
        mail: tuple[str, ...] = ()
        items = found[1].items if isinstance(found[1], Listing) else (found[1],)
        for item in items[:_MAX_LIST]:
            match item:
                case Scalar(text=text):
                    known = [channel for channel in CHANNELS if channel == text.strip()]
                    if not known:
                        said = f"{text[:64]!r} is none of {', '.join(CHANNELS)} and no `mail: command`"
                        raise EntryRefused(item.span.line, f"notify: {said}")
                    channels += known
                case Mapping(entries=((Scalar(text="mail"), command),)):
                    mail = self._command(command)
                case Bad(reason=reason):
                    raise EntryRefused(item.span.line, f"notify: {reason}")
                case _:
                    raise EntryRefused(item.span.line, "notify: must be words or `mail: command`")
        return Notify(channels=tuple(dict.fromkeys(channels)), mail=mail)

    def _command(self, node: Node) -> tuple[str, ...]:
        """A command with its arguments; no shell ever reads it."""
        try:
            match node:
                case Scalar(text=text):
                    words = tuple(shlex.split(text))
                case Listing(items=items):
                    words = tuple(item.text for item in items if isinstance(item, Scalar))
                    if len(words) != len(items):
                        raise ValueError("must be a list of words")
                case _:
                    raise ValueError("must be a command")
            if not words or not words[0]:
                raise ValueError("is empty")
        except ValueError as error:
            raise EntryRefused(node.span.line, f"notify: mail: {error}") from None
        return words

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
            raise self._refused(name, f"{text[:64]!r} is not absolute; begin it with / or ~/")
        return path
