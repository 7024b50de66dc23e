"""YAML of the files that list jobs and webhooks: strings, lists and mappings that know where they stand.

Does no I/O.

Built from the parser's events, so no constructor is ever called: scalars stay text, nothing grows when it is read,
and no tag can name an object. What one node may not have (a tag, an alias, a key twice) makes that node a `BadNode`,
and the rest of the document is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import StringMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from agentgw.protocol.records.schema import record

# The scanner looks ahead at every open bracket; what an entry says is three levels deep.
MAX_DEPTH: Final = 16
# 500 entries with ten keys each; reading them takes a second or two.
MAX_EVENTS: Final = 12_000


@record
class NodeSpan:
    """Place of a node: offsets in the text, and the line (from 1) and column (from 0) of its start."""

    start: int
    end: int
    line: int
    column: int


@record
class ScalarNode:
    """A word. `plain` words have no quotes: null, numbers and booleans are such."""

    span: NodeSpan
    text: str
    plain: bool


@record
class ListNode:
    """A list; `flow` is the form with brackets."""

    span: NodeSpan
    items: tuple[Node, ...]
    flow: bool


@record
class MappingNode:
    """Keys with values; `flow` is the form with braces."""

    span: NodeSpan
    entries: tuple[tuple[ScalarNode, Node], ...]
    flow: bool

    def get(self, name: str) -> Node | None:
        """The value of a key."""
        return next((node for key, node in self.entries if key.text == name), None)


@record
class BadNode:
    """A node that is refused, with the reason."""

    span: NodeSpan
    reason: str


Node = ScalarNode | ListNode | MappingNode | BadNode


class DocumentRefused(ValueError):
    """The text cannot be read beyond `line`."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def parse_document(text: str) -> Node | None:
    """The one document of a text without a byte order mark; None for an empty one. Raises DocumentRefused."""
    events = _events(text)
    try:
        first = next(events, None)
        node = _node(first, events) if first is not None else None
        for _ in events:
            pass  # what follows is looked at too
    except YAMLError as error:
        raise DocumentRefused(*_place(error, text)) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, DocumentRefused):
            raise
        raise DocumentRefused(1, _short(error)) from None  # the parser's own, for "\U00110000"
    return node


def _events(text: str) -> Iterator[Event]:
    """Events of nodes, as long as there are not too many, not too deep and of one document."""
    depth = documents = 0
    for count, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
        line = event.start_mark.line + 1
        if count >= MAX_EVENTS:
            raise DocumentRefused(line, "the file holds too many values")
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise DocumentRefused(line, "a second document (---) begins here")
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise DocumentRefused(line, f"nested deeper than {MAX_DEPTH}")
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            depth -= 1
        if isinstance(event, NodeEvent | MappingEndEvent | SequenceEndEvent):
            yield event


def _node(event: Event, events: Iterator[Event]) -> Node:
    reason = _refusal(event)
    made: Node
    match event:
        case AliasEvent():
            return BadNode(span=_span(event, event), reason=reason or "")
        case ScalarEvent():
            made = _scalar(event)
        case SequenceStartEvent():
            items = []
            for item in events:
                if isinstance(item, SequenceEndEvent):
                    break
                items.append(_node(item, events))
            made = ListNode(span=_span(event, item), items=tuple(items), flow=bool(event.flow_style))
        case MappingStartEvent():
            made = _mapping(event, events)
        case _:  # the grammar lets no other event start a node
            raise DocumentRefused(event.start_mark.line + 1, "unexpected")
    return BadNode(span=made.span, reason=reason) if reason else made


def _mapping(event: MappingStartEvent, events: Iterator[Event]) -> MappingNode | BadNode:
    entries: dict[str, tuple[ScalarNode, Node]] = {}
    wrong: BadNode | None = None
    for key_event in events:
        if isinstance(key_event, MappingEndEvent):
            break
        key = _node(key_event, events)
        value = _node(next(events), events)
        if not isinstance(key, ScalarNode):
            reason = key.reason if isinstance(key, BadNode) else "a key must be a word"
            wrong = wrong or BadNode(span=key.span, reason=reason)
        elif key.text in entries:
            wrong = wrong or BadNode(span=key.span, reason=f"key {key.text[:64]!r} is given twice")
        else:
            entries[key.text] = (key, value)
    span = _span(event, key_event)
    if wrong is not None:
        # The reason is told where it is, and the whole is where it begins.
        line = NodeSpan(start=span.start, end=span.end, line=wrong.span.line, column=span.column)
        return BadNode(span=line, reason=wrong.reason)
    return MappingNode(span=span, entries=tuple(entries.values()), flow=bool(event.flow_style))


def _scalar(event: ScalarEvent) -> ScalarNode | BadNode:
    span, text = _span(event, event), str(event.value)
    try:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return BadNode(span=span, reason="half a character (\\ud800 to \\udfff) is not allowed")
    if "\0" in text:
        return BadNode(span=span, reason="the character \\0 is not allowed")
    return ScalarNode(span=span, text=text, plain=event.style is None)


def _refusal(event: Event) -> str | None:
    if isinstance(event, AliasEvent):
        return "aliases (*name) are not allowed"
    if getattr(event, "anchor", None) is not None:
        return "anchors (&name) are not allowed"
    if getattr(event, "tag", None) is not None:
        return "tags (!name) are not allowed"
    return None


def _span(first: Event, last: Event) -> NodeSpan:
    start, end = first.start_mark, last.end_mark
    return NodeSpan(start=start.index, end=end.index, line=start.line + 1, column=start.column)


# The parser's words about what people write without quotes or with tabs, and what to do.
_HINTS: Final = (
    ("scanning an alias", "a value that begins with * needs quotes"),
    ("scanning an anchor", "a value that begins with & needs quotes"),
    (r"'\t' that cannot start any token", "indent with blanks, not with tabs"),
    ("that cannot start any token", "a value that begins with it needs quotes"),
    (
        "mapping values are not allowed here",
        "a value with a colon and a blank in it needs quotes; the keys of an entry stand below each other",
    ),
)


def _place(error: YAMLError, text: str) -> tuple[int, str]:
    """The line of what the parser does not take, and the reason."""
    if isinstance(error, ReaderError):
        return text.count("\n", 0, error.position) + 1, f"the character #x{error.character:04x} is not allowed"
    mark: StringMark | None = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or error
    words = f"{getattr(error, 'context', '')} {problem}"
    hint = next((f": {hint}" for said, hint in _HINTS if said in words), "")
    return (mark.line + 1 if mark is not None else 1), _short(problem) + hint


def _short(problem: object) -> str:
    return " ".join(str(problem).split())[:200] or "not YAML"
