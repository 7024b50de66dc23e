"""YAML as skills need it: text in, plain strings, lists and mappings out. Does no I/O.

The reader builds values from the parser's events and never calls a YAML constructor: every scalar stays the
string that was written (`1.10` is not 1.1, `on` is not True), and a tag, an anchor, an alias, a repeated key
or a second document is refused. So a file can name no Python object and cannot grow when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
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

# None is an empty value: `key:` or `key: null`.
YamlNode = str | list["YamlNode"] | dict[str, "YamlNode"] | None

# The scanner looks ahead at every open bracket: 60,000 of them take it three minutes, 16 a quarter second.
MAX_DEPTH: Final = 16
# A skill's settings are tens of values; 4,096 events take 0.1 s.
MAX_EVENTS: Final = 4096

_FENCE: Final = "---"


class YamlRefused(ValueError):
    """The text is not YAML, or uses what skills may not; the message is one line."""


def split(text: str) -> tuple[str, str]:
    """Front matter and body of a SKILL.md. Raises YamlRefused when there is no front matter.

    The front matter begins with the end of the fence's line, so that its lines count as those of the file do.
    """
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].rstrip() != _FENCE:
        raise YamlRefused(f"no front matter: the first line must be {_FENCE}")
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return "\n" + "".join(lines[1:number]), "".join(lines[number + 1 :])
    raise YamlRefused(f"the front matter has no end: a second line {_FENCE} is missing")


def parse_mapping(text: str) -> dict[str, YamlNode]:
    """The mapping that `text` is. Raises YamlRefused."""
    node = parse(text)
    if node is None:
        return {}
    if not isinstance(node, dict):
        raise YamlRefused("not a mapping of keys to values")
    return node


def parse(text: str) -> YamlNode:
    """The one document of `text`, at most MAX_DEPTH deep. Raises YamlRefused."""
    events = _checked_events(text)
    try:
        first = next(events, None)
        node = _node(first, events) if first is not None else None
        if next(events, None) is not None:
            raise YamlRefused("holds a second document")
    except YAMLError as error:
        raise YamlRefused(_one_line(error)) from None
    except YamlRefused:
        raise
    except ValueError as error:  # the parser's own, for "\U00110000"
        raise YamlRefused(" ".join(str(error).split())[:200]) from None
    return node


def _checked_events(text: str) -> Iterator[Event]:
    depth = documents = 0
    for count, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
        if count > MAX_EVENTS:
            raise YamlRefused("holds too many values")
        if isinstance(event, AliasEvent):
            raise YamlRefused(f"{_where(event)}aliases (*name) are not allowed")
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise YamlRefused("holds a second document")
        if not isinstance(event, NodeEvent | MappingEndEvent | SequenceEndEvent):
            continue
        if getattr(event, "anchor", None) is not None:
            raise YamlRefused(f"{_where(event)}anchors (&name) are not allowed")
        if getattr(event, "tag", None) is not None:
            raise YamlRefused(f"{_where(event)}tags (!name) are not allowed")
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise YamlRefused(f"{_where(event)}nested deeper than {MAX_DEPTH}")
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            depth -= 1
        yield event


def _node(event: Event, events: Iterator[Event]) -> YamlNode:
    match event:
        case ScalarEvent():
            return _scalar(event)
        case SequenceStartEvent():
            return [_node(item, events) for item in _until(SequenceEndEvent, events)]
        case MappingStartEvent():
            made: dict[str, YamlNode] = {}
            for key_event in _until(MappingEndEvent, events):
                key = _node(key_event, events)
                if not isinstance(key, str):
                    raise YamlRefused(f"{_where(key_event)}a key must be a word")
                if key in made:
                    raise YamlRefused(f"{_where(key_event)}key {key[:64]!r} is given twice")
                made[key] = _node(next(events), events)
            return made
        case _:  # the grammar lets no other event start a node
            raise YamlRefused(f"{_where(event)}unexpected")


def _until(end: type[Event], events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _scalar(event: ScalarEvent) -> str | None:
    value = str(event.value)
    if not value.isascii():
        value = _joined(event, value)
    if "\0" in value:
        raise YamlRefused(f"{_where(event)}the character \\0 is not allowed")
    plain = event.implicit is not None and bool(event.implicit[0])
    return None if plain and value in ("", "~", "null", "Null", "NULL") else value


def _joined(event: Event, value: str) -> str:
    """The text where the two halves that JSON writes for one character beyond 16 bits are that character."""
    try:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise YamlRefused(f"{_where(event)}half a character (\\ud800 to \\udfff) is not allowed") from None


def _where(event: Event) -> str:
    mark = getattr(event, "start_mark", None)
    return f"line {mark.line + 1}: " if mark is not None else ""


def _one_line(error: YAMLError) -> str:
    """The parser's problem with its line, without the excerpt it prints below."""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    return (f"line {mark.line + 1}: " if mark is not None else "") + " ".join(str(problem).split())[:200]
