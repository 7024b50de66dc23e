"""Files that are a list of named entries below one key: jobs and webhooks. Does no I/O.

Each entry is read by itself, so that a bad one is told with its line and the others are used.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol, TypeVar

from agentgw.protocol.records.schema import record
from agentgw_daemon.text.yaml_document import (
    BadNode,
    DocumentRefused,
    ListNode,
    MappingNode,
    Node,
    ScalarNode,
    parse_document,
)

T = TypeVar("T")
E = TypeVar("E", bound="NamedEntry")

NO_ALIASES: Final[Mapping[str, str]] = {}
MAX_NAME: Final = 100
_TRUE: Final = frozenset({"true", "yes", "on"})
_FALSE: Final = frozenset({"false", "no", "off"})
_NULL: Final = frozenset({"", "~", "null"})
# YAML's numbers without its octal, sexagesimal and infinite ones.
_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)
MAX_LIST: Final = 100


class EntryRefused(ValueError):
    """An entry that cannot be used, with the line of what is wrong."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@record
class Entries:
    """The entries of a text as nodes, at most one more than was asked for, and what is wrong around them."""

    nodes: tuple[Node, ...]
    refused: tuple[EntryRefused, ...]


def entries_of(text: str, top: str, keys: Collection[str], *, most: int) -> Entries:
    """The list below the key `top`, which is all that the text may hold; `keys` are those of an entry.

    Where the text as a whole cannot be read, those entries are given that can be read by themselves.
    """
    text = text.removeprefix("\ufeff")
    refused: list[EntryRefused] = []
    try:
        document = parse_document(text)
        nodes = _items(document, top, keys, refused)
        if isinstance(document, BadNode):
            nodes = _salvaged(text, top, most)
    except DocumentRefused as error:
        refused.append(EntryRefused(error.line, error.reason))
        nodes = _salvaged(text, top, most)
    return Entries(nodes=nodes[: most + 1], refused=tuple(refused))


class NamedEntry(Protocol):
    """An entry that was read."""

    @property
    def name(self) -> str:
        """The entry's name, which no other entry of the file has."""

    @property
    def line(self) -> int:
        """The line where it begins."""


@record
class EntryProblem:
    """Fault that keeps an entry, or the whole file, from being used. `name` is the entry's where it can be read."""

    line: int
    reason: str
    name: str | None = None


def named_entries(
    text: str, kind: str, keys: Collection[str], *, most: int, read: Callable[[Node], E]
) -> tuple[tuple[E, ...], tuple[EntryProblem, ...]]:
    """The entries below the key `kind` in the plural, as `read` makes them of nodes, and what is wrong with others.

    `read` raises EntryRefused.
    """
    entries = entries_of(text, f"{kind}s", keys, most=most)
    problems = [EntryProblem(line=refused.line, reason=refused.reason) for refused in entries.refused]
    found: dict[str, E] = {}
    for number, node in enumerate(entries.nodes):
        if number == most:
            problems.append(EntryProblem(line=node.span.line, reason=f"a file holds at most {most} {kind}s"))
            break
        try:
            entry = read(node)
            if entry.name in found:
                taken = f"the name {entry.name!r} is taken by the {kind} in line {found[entry.name].line}"
                raise EntryRefused(node.span.line, taken)
            found[entry.name] = entry
        except EntryRefused as refused:
            problems.append(EntryProblem(line=refused.line, reason=refused.reason, name=name_of(node)))
    return tuple(found.values()), tuple(problems)


def name_of(node: Node) -> str | None:
    """The name that an entry has, where it can be read."""
    named = node.get("name") if isinstance(node, MappingNode) else None
    return named.text[:MAX_NAME] if isinstance(named, ScalarNode) else None


class EntryValues:
    """The values of one entry. Methods raise EntryRefused for what cannot be used."""

    def __init__(self, node: Node, kind: str, keys: Collection[str], aliases: Mapping[str, str] = NO_ALIASES) -> None:
        """`kind` is what an entry is called, `aliases` gives other names of keys. Raises EntryRefused."""
        if isinstance(node, BadNode):
            raise EntryRefused(node.span.line, node.reason)
        if not isinstance(node, MappingNode):
            raise EntryRefused(node.span.line, "an entry is a mapping that begins with `name:`")
        self.line = node.span.line
        self._kind = kind
        self.values: dict[str, tuple[ScalarNode, Node]] = {}
        for key, value in node.entries:
            name = aliases.get(key.text, key.text)
            if name not in keys:
                near = difflib.get_close_matches(key.text[:64], (*keys, *aliases), n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise EntryRefused(key.span.line, f"unknown key {key.text[:64]!r}{hint}")
            if name in self.values:
                raise EntryRefused(key.span.line, f"{key.text} and {self.values[name][0].text} are the same key")
            if isinstance(value, BadNode):
                raise EntryRefused(value.span.line, f"{key.text}: {value.reason}")
            # An empty value is one that is not there, as in the old file.
            if not (isinstance(value, ScalarNode) and value.plain and value.text.casefold() in _NULL):
                self.values[name] = (key, value)

    def refused(self, name: str, reason: str) -> EntryRefused:
        """The error for a key, with the line of its value."""
        found = self.values.get(name)
        return EntryRefused(found[1].span.line if found else self.line, f"{name}: {reason}")

    def required(self, name: str) -> str:
        """The text of a key that must be there."""
        text = self.text(name)
        if text is None or not text.strip():
            raise EntryRefused(self.line, f"the {self._kind} has no {name}")
        return text

    def text(self, name: str) -> str | None:
        """The text of a key."""
        found = self.values.get(name)
        if found is None:
            return None
        if not isinstance(found[1], ScalarNode):
            raise self.refused(name, "must be a text")
        return found[1].text

    def name(self) -> str:
        """The entry's name: one short visible line."""
        name = self.required("name").strip()
        if len(name) > MAX_NAME:
            raise self.refused("name", f"has more than {MAX_NAME} characters")
        if not name.isprintable():
            raise self.refused("name", "has characters that cannot be shown")
        if name.startswith("-"):
            raise self.refused("name", "begins with a dash, which commands take for an option")
        return name

    def choice(self, name: str, allowed: tuple[T, ...], default: T) -> T:
        """One of a few words."""
        text = self.text(name)
        if text is None:
            return default
        for word in allowed:
            if word == text:
                return word
        raise self.refused(name, f"{text[:64]!r} is none of {', '.join(map(str, allowed))}")

    def boolean(self, name: str, default: bool) -> bool:
        """True or false, in the words of YAML 1.1 as old files have them."""
        text = self.text(name)
        folded = text.casefold() if text is not None else ""
        if text is None:
            return default
        if folded not in _TRUE | _FALSE:
            raise self.refused(name, f"{text[:64]!r} is neither true nor false")
        return folded in _TRUE

    def seconds(self, name: str, default: float | None, *, most: float, above_zero: bool = False) -> float | None:
        """A number of seconds."""
        text = self.text(name)
        if text is None:
            return default
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not 0 <= value <= most or (above_zero and value == 0):
            floor = "more than 0" if above_zero else "0"
            raise self.refused(name, f"{text[:64]!r} is no number of seconds from {floor} to {most:.0f}")
        return value

    def integer(self, name: str, default: int, *, most: int) -> int:
        """A whole number."""
        text = self.text(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) > most:
            raise self.refused(name, f"{text[:64]!r} is no whole number from 0 to {most}")
        return int(text)

    def words(self, name: str) -> tuple[str, ...]:
        """A list of texts; a single text is a list of one."""
        found = self.values.get(name)
        if found is None:
            return ()
        items = found[1].items if isinstance(found[1], ListNode) else (found[1],)
        if len(items) > MAX_LIST:
            raise self.refused(name, f"has more than {MAX_LIST} entries")
        texts = []
        for item in items:
            if isinstance(item, BadNode):
                raise EntryRefused(item.span.line, f"{name}: {item.reason}")
            if not isinstance(item, ScalarNode) or not item.text.strip():
                raise EntryRefused(item.span.line, f"{name}: must be a list of words")
            texts.append(item.text.strip())
        return tuple(dict.fromkeys(texts))


def _items(document: Node | None, top: str, keys: Collection[str], refused: list[EntryRefused]) -> tuple[Node, ...]:
    """The entries of a document; what is wrong around them goes to `refused`."""
    match document:
        case None:
            return ()
        case ScalarNode() if document.plain and document.text in ("", "~", "null"):
            return ()
        case BadNode():
            refused.append(EntryRefused(document.span.line, document.reason))
            return ()
        case MappingNode():
            pass
        case ListNode():
            refused.append(EntryRefused(document.span.line, f"the file is a list; put `{top}:` above it"))
            return ()
        case ScalarNode():
            refused.append(EntryRefused(document.span.line, f"the file is not a mapping with `{top}:`"))
            return ()
    for key, _ in document.entries:
        if key.text != top:
            near = difflib.get_close_matches(key.text, (top,), n=1)
            hint = f"; did you mean {top}?" if near and document.get(top) is None else f"; there is only `{top}`"
            if key.text in keys:
                hint = f"; it belongs into an entry below `{top}:`"
            refused.append(EntryRefused(key.span.line, f"unknown key {key.text[:64]!r}{hint}"))
    match document.get(top):
        case None:
            return ()
        case ScalarNode(plain=True, text="" | "~" | "null"):
            return ()
        case ListNode(items=items):
            return items
        case BadNode() as bad:
            refused.append(EntryRefused(bad.span.line, bad.reason))
        case other:
            refused.append(EntryRefused(other.span.line, f"`{top}` is not a list; each entry begins with `- `"))
    return ()


def _salvaged(text: str, top: str, most: int) -> tuple[Node, ...]:
    """The entries that can be read by themselves, of a text that cannot be read as a whole.

    An entry is what stands from a dash in the column of the first one below `top:` to the next such dash, or to lines
    that belong to no entry; where more of it may come behind these, it is left out. Only block style is cut like this;
    where a text in quotes has a dash there, its two halves are no entries and are left out.
    """
    # As many lines as before, whatever ends them.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    found = re.search(
        rf"""^(["']?){top}\1[ \t]*:[ \t]*(?:\#.*)?\n(?:[ \t]*(?:\#.*)?\n)*([ ]*)-(?=[ \t\n])""", text, re.MULTILINE
    )
    if found is None:
        return ()
    column = len(found[2])
    dash = re.compile(rf"^ {{{column}}}-(?=[ \t\n])", re.MULTILINE)
    # Nothing of an entry stands further left than its dash, or right below it.
    outside = re.compile(rf"^ {{0,{column}}}(?![ \t\n#]|-[ \t\n])", re.MULTILINE)
    inside = re.compile(rf"^(?: {{{column + 1},}}| *\t)[ \t]*[^ \t\n#]", re.MULTILINE)
    starts = [match.start() for match in dash.finditer(text, found.start(2))][: most + 1]
    nodes: list[Node] = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        beyond = outside.search(text, start + column + 1, end)
        if beyond and inside.search(text, beyond.start(), end):
            continue
        piece = text[start : beyond.start() if beyond else end]
        try:
            # Empty lines before it keep its lines' numbers.
            node = parse_document("\n" * text.count("\n", 0, start) + piece)
        except DocumentRefused:
            continue
        if isinstance(node, ListNode) and len(node.items) == 1 and isinstance(node.items[0], MappingNode):
            nodes.append(node.items[0])
    return tuple(nodes)
