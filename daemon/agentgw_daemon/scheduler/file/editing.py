"""Edits of the jobs file as text: what is not meant stays as it is, to the byte. Does no I/O.

Places come from the parser, and each edit is read again before it is given out: it must say what was wanted and
everything else as before. Comments between entries are never removed, for they may be about any of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Final

from agentgw.protocol.errors import AlreadyExists, InvalidParams, NotFound
from agentgw_daemon.scheduler.file.settings import job_of
from agentgw_daemon.text.near import hint_for
from agentgw_daemon.text.yaml_document import DocumentRefused, ListNode, MappingNode, Node, ScalarNode, parse_document
from agentgw_daemon.text.yaml_entries import EntryRefused

FieldValue = str | bool | int | float | list[str]

# Words that a plain scalar may be: nothing that YAML, old or new, takes for another type or for its own signs.
_PLAIN: Final = re.compile(r"[A-Za-z_/~][A-Za-z0-9_/.~-]*(?: [A-Za-z0-9_/.~][A-Za-z0-9_/.~-]*)*", re.ASCII)
_NOT_PLAIN: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "~", "y", "n"})
_BOM: Final = "\ufeff"


def with_job(text: str, entry: Mapping[str, FieldValue], *, home: Path) -> str:
    """The text with one more entry at its end. Raises AlreadyExists, InvalidParams."""
    name = entry.get("name")
    document = _Document(text)
    if document.find(name) is not None:
        raise AlreadyExists(
            f"there is a job {name!r} already", hint="remove it first, or give this one another name", kind="job",
            id=str(name),
        )  # fmt: skip
    expected = [*document.said, _said(_one_entry(entry, home))]
    return document.edited(document.additions(entry), expected)


def without_job(text: str, name: str) -> str:
    """The text without the entry of that name. Raises NotFound."""
    document = _Document(text)
    number = document.number(name)
    expected = [said for index, said in enumerate(document.said) if index != number]
    return document.edited(document.removals(number), expected)


def with_enabled(text: str, name: str, enabled: bool) -> str:
    """The text with the entry of that name on or off. Raises NotFound."""
    document = _Document(text)
    number = document.number(name)
    node = document.items[number]
    assert isinstance(node, MappingNode)  # only such a node has a name
    word = "true" if enabled else "false"
    said = {key.text: _said(value) for key, value in node.entries}
    if said.get("enabled") == word:
        return text
    expected = [*document.said[:number], {**said, "enabled": word}, *document.said[number + 1 :]]
    return document.edited(document.switches(node, word), expected)


class _Document:
    """The text with its entries, and the ways to change it. Raises InvalidParams for what cannot be edited safely."""

    def __init__(self, text: str) -> None:
        self._bom = _BOM if text.startswith(_BOM) else ""
        self._text = text.removeprefix(_BOM)
        self._newline = "\r\n" if "\r\n" in self._text else "\n"
        try:
            self._root = parse_document(self._text)
        except DocumentRefused as refused:
            raise _by_hand(f"line {refused.line}: {refused.reason}") from None
        self._jobs = self._root.get("jobs") if isinstance(self._root, MappingNode) else None
        if self._root is not None and not isinstance(self._root, MappingNode) and not _empty(self._root):
            raise _by_hand(f"line {self._root.span.line}: not a mapping with `jobs:`")
        if self._jobs is not None and not isinstance(self._jobs, ListNode) and not _empty(self._jobs):
            raise _by_hand(f"line {self._jobs.span.line}: `jobs` is not a list")
        self.items: tuple[Node, ...] = self._jobs.items if isinstance(self._jobs, ListNode) else ()
        self.said: list[object] = [_said(item) for item in self.items]

    def find(self, name: object) -> int | None:
        """The number of the entry of that name."""
        return next((index for index, item in enumerate(self.items) if _name(item) == name), None)

    def number(self, name: str) -> int:
        """The number of the entry of that name. Raises NotFound."""
        number = self.find(name)
        if number is None:
            raise no_job(name, filter(None, map(_name, self.items)))
        return number

    def edited(self, candidates: Iterator[str], expected: list[object]) -> str:
        """The first candidate that says what is expected, and beside the jobs the same as before."""
        for candidate in candidates:
            try:
                again = _Document(candidate)
            except InvalidParams:
                continue
            if again.said == expected and again._beside() == self._beside():
                return self._bom + candidate
        raise _by_hand("it is written in a way that is not safe to edit")

    def _beside(self) -> list[object]:
        entries = self._root.entries if isinstance(self._root, MappingNode) else ()
        return [(key.text, _said(value)) for key, value in entries if key.text != "jobs"]

    def additions(self, entry: Mapping[str, FieldValue]) -> Iterator[str]:
        """Ways to put an entry behind the last one."""
        text = self._text
        if isinstance(self._jobs, ListNode) and self._jobs.items:
            last = self._jobs.items[-1]
            if self._jobs.flow:
                yield _spliced(text, last.span.end, last.span.end, f", {_flow(entry)}")
                return
            lines = self._block(entry, " " * self._jobs.span.column)
            # Before the empty lines and comments behind the last entry; behind them where they belong to its text.
            for end in (self._content_end(last.span.end), self._line_end(last.span.end), len(text)):
                yield self._inserted(end, lines)
            return
        lines = self._block(entry, "  ")
        if self._jobs is None:
            yield self._inserted(len(text), f"jobs:{self._newline}{lines}")
            return
        start, end = self._jobs.span.start, self._jobs.span.end
        if start != end and not text[text.rfind("\n", 0, start) + 1 : start].strip():
            # `[]` on a line of its own: comments between it and its key stay.
            yield _spliced(text, text.rfind("\n", 0, start) + 1, self._line_end(end), lines)
        # `jobs:` or `jobs: []`: the value goes, what is behind it on its line stays.
        colon = text.rindex(":", 0, start + 1) + 1 if start == end else text.rindex(":", 0, start) + 1
        emptied = _spliced(text, colon, end, "") if start != end else text
        yield self._inserted_in(emptied, self._line_end_in(emptied, colon), lines)

    def removals(self, number: int) -> Iterator[str]:
        """Ways to take an entry out."""
        assert isinstance(self._jobs, ListNode)  # it has an entry
        text, items = self._text, self.items
        if self._jobs.flow:
            start, end = items[number].span.start, items[number].span.end
            if number + 1 < len(items):
                end = items[number + 1].span.start
            elif number:
                start = items[number - 1].span.end
            yield _spliced(text, start, end, "")
            # The only one may have a comma behind it.
            yield _spliced(text, self._jobs.span.start + 1, self._jobs.span.end - 1, "")
            return
        start = self._dash(items[number])
        for end in (self._content_end(items[number].span.end), self._line_end(items[number].span.end)):
            if len(items) > 1:
                yield _spliced(text, start, end, "")
            else:
                # An empty list in place of the entry, so that its key keeps a value.
                indent = " " * self._jobs.span.column or "  "
                yield _spliced(text, start, end, f"{indent}[]{self._newline}")

    def switches(self, node: MappingNode, word: str) -> Iterator[str]:
        """Ways to turn an entry on or off, by the word `true` or `false`."""
        value = node.get("enabled")
        if value is not None:
            space = " " if value.span.start == value.span.end else ""
            yield _spliced(self._text, value.span.start, value.span.end, space + word)
            return
        key, name = next((key, value) for key, value in node.entries if key.text == "name")
        if node.flow:
            yield _spliced(self._text, name.span.end, name.span.end, f", enabled: {word}")
            return
        line = f"{' ' * key.span.column}enabled: {word}{self._newline}"
        yield self._inserted(self._line_end(name.span.end), line)

    def _block(self, entry: Mapping[str, FieldValue], indent: str) -> str:
        lines = [f"{key}: {_written(value)}" for key, value in entry.items()]
        marks = ["- "] + ["  "] * (len(lines) - 1)
        return "".join(f"{indent}{mark}{line}{self._newline}" for mark, line in zip(marks, lines, strict=True))

    def _inserted(self, at: int, lines: str) -> str:
        return self._inserted_in(self._text, at, lines)

    def _inserted_in(self, text: str, at: int, lines: str) -> str:
        # A last line may have no end.
        gap = self._newline if at and text[at - 1] not in "\r\n" else ""
        return _spliced(text, at, at, gap + lines)

    def _content_end(self, end: int) -> int:
        """The end of the last line with content before `end`, which may be beyond comments and empty lines."""
        lines = self._text[:end].splitlines(keepends=True)
        while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
            lines.pop()
        return self._line_end(max(sum(map(len, lines)) - 1, 0))

    def _line_end(self, at: int) -> int:
        return self._line_end_in(self._text, at)

    def _line_end_in(self, text: str, at: int) -> int:
        """The start of the line after the one that `at` is in; at the start of a line, that place itself."""
        if at and text[at - 1] == "\n":
            return at
        found = text.find("\n", at)
        return len(text) if found < 0 else found + 1

    def _dash(self, item: Node) -> int:
        """The start of the line with the entry's dash."""
        assert isinstance(self._jobs, ListNode)  # it has an entry
        start = item.span.start
        while True:
            line = self._text.rfind("\n", 0, start) + 1
            if self._text[line:].startswith(" " * self._jobs.span.column + "-") or line == 0:
                return line
            start = line - 1


def no_job(name: str, known: Iterable[str]) -> NotFound:
    """The error for a name that no job has, with the nearest one."""
    hint = hint_for(name, known, "`agentgw jobs` lists them")
    return NotFound(f"there is no job {name[:100]!r}", hint=hint, kind="job", id=name)


def _name(node: Node) -> str | None:
    named = node.get("name") if isinstance(node, MappingNode) else None
    return named.text.strip() if isinstance(named, ScalarNode) else None


def _empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.plain and node.text in ("", "~", "null")


def _said(node: Node) -> object:
    """The content of a node, without where it stands and how it is written."""
    match node:
        case ScalarNode():
            return node.text
        case ListNode():
            return [_said(item) for item in node.items]
        case MappingNode():
            return {key.text: _said(value) for key, value in node.entries}
        case _:
            return ("refused", node.reason)


def _one_entry(entry: Mapping[str, FieldValue], home: Path) -> Node:
    """The entry as it will be read, checked as a job. Raises InvalidParams."""
    try:
        node = parse_document(_flow(entry))
        assert node is not None
        job_of(node, home=home, zone=UTC)
    except (DocumentRefused, EntryRefused) as refused:
        raise InvalidParams(refused.reason, path="job", reason=refused.reason) from None
    return node


def _flow(entry: Mapping[str, FieldValue]) -> str:
    return "{" + ", ".join(f"{key}: {_written(value)}" for key, value in entry.items()) + "}"


def _written(value: FieldValue) -> str:
    """A value in YAML: words without need for quotes as they are, other text as JSON writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value:.6f}".rstrip("0").rstrip(".")
        case str():
            if _PLAIN.fullmatch(value) and value.casefold() not in _NOT_PLAIN and len(value) <= 100:
                return value
            # YAML has JSON's escapes, but also line breaks of its own, which JSON leaves as they are.
            return json.dumps(value, ensure_ascii=not value.isprintable())
        case list():
            return "[" + ", ".join(map(_written, value)) + "]"


def _spliced(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _by_hand(reason: str) -> InvalidParams:
    return InvalidParams(
        f"the jobs file cannot be edited: {reason}", hint="edit it by hand", path="file", reason=reason
    )  # fmt: skip
