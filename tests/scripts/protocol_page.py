"""docs/protocol.md, written from the contract's tables: `python -m tests.scripts.protocol_page` prints it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from agentgw import PROTOCOL
from agentgw.protocol.calls.shared import NoParams
from agentgw.protocol.calls.turns import TurnResult
from agentgw.protocol.errors import RPC_ERRORS
from agentgw.protocol.events import EVENTS, TurnCompleted, TurnDelta, TurnEvent, TurnStarted
from agentgw.protocol.methods import METHODS, Method
from agentgw.protocol.records.schema import dump, fields_of, schema_of
from agentgw.transport.framing import encode
from agentgw_daemon.config.settings import LimitsSection
from agentgw_daemon.server.calls.dispatch import MAX_BATCH
from agentgw_daemon.server.calls.openrpc import TURN_ENVELOPE, event_name

_NOUNS: Final = {
    "hello": "Greeting",
    "ping": "Greeting",
    "rpc": "Greeting",
    "daemon": "Daemon",
    "turn": "Turns",
    "approval": "Approvals",
    "chat": "Stateless completion",
    "session": "Sessions",
    "feedback": "Feedback",
    "skill": "Skills",
    "tool": "Tools",
    "document": "Documents",
    "job": "Jobs",
    "model": "Models",
    "embed": "Embedding",
    "web": "Web pages",
    "webhook": "Webhooks",
    "config": "Settings and counts",
    "stats": "Settings and counts",
    "event": "Events",
}
_PLAIN: Final = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", Any: "anything"}
_PLAIN_RESULTS: Final = {"ping": '`"pong"`', "rpc.discover": "the document"}
_UNITS: Final = {"Length": "character", "Items": "item"}


def page() -> str:
    """The whole page, ended by one newline."""
    parts = (_head(), _framing(), _methods(), _notifications(), _records(), _errors(), _limits())
    return "\n".join(line for part in parts for line in (*part, "")).rstrip() + "\n"


def _head() -> Iterator[str]:
    yield "# The protocol of agentgw"
    yield ""
    yield "<!-- Made by `make docs` from the tables in agentgw/; change those, not this page. -->"
    yield ""
    yield f"What a program says to the daemon and hears from it. This is version {PROTOCOL} of the protocol."
    yield "`rpc.discover` gives the same as an OpenRPC document with JSON Schemas."


def _framing() -> Iterator[str]:
    limits = LimitsSection()
    yield "## Framing"
    yield ""
    yield (
        "A Unix stream socket, by default `$XDG_RUNTIME_DIR/agentgw/agentgw.sock`. "
        "One JSON-RPC 2.0 message a line: UTF-8, ended by a newline (a carriage return before it is ignored, and so "
        f"are empty lines), at most {_bytes(limits.max_message_bytes)}. A longer one is answered with "
        "`-32600 frame too large` and the connection is closed, because its end cannot be found. Any other bad line "
        "gets its error and the connection goes on."
    )
    yield ""
    yield (
        "Text is stricter than most JSON readers ask for: no byte order mark, no `NaN` or infinities, no key twice in "
        f"one object, no lone surrogates, integers of 64 bits, nesting of at most {limits.depth}."
    )
    yield ""
    yield (
        "Parameters go by name, or by position in the order of the tables. An unknown name is refused; a `null` is "
        f"the same as leaving the parameter out. A batch holds at most {MAX_BATCH} entries. A request without an `id` "
        "is a notification: it is executed and not answered. Every response comes after the last notification that "
        "its request caused. Closing the connection cancels the turns it started, unless they were detached; closing "
        "only the writing side does not."
    )
    yield ""
    yield "No library is needed to try it; the first line is typed, the others are the daemon's:"
    yield ""
    yield "```console"
    yield '$ nc -U "$XDG_RUNTIME_DIR/agentgw/agentgw.sock"'
    yield from _transcript()
    yield "```"


def _transcript() -> Iterator[str]:
    params = {"message": "hello world", "model": "echo", "ephemeral": True}
    yield _line({"jsonrpc": "2.0", "id": 1, "method": "turn.start", "params": params})
    ids = {"turn_id": "t-1", "session_id": "s-1"}
    events: tuple[TurnEvent, ...] = (
        TurnStarted(skill="general-assistant", model="echo"),
        TurnDelta(text="hello "),
        TurnDelta(text="world"),
        TurnCompleted(finish_reason="stop"),
    )
    for seq, event in enumerate(events, 1):
        yield _line({"jsonrpc": "2.0", "method": event.method, "params": {**ids, "seq": seq, **dump(event)}})
    result = TurnResult(
        turn_id=ids["turn_id"],
        session_id=ids["session_id"],
        text="hello world",
        finish_reason="stop",
        last_seq=len(events),
    )
    shown = {name: value for name, value in dump(result).items() if name not in ("tool_calls", "sources")}
    shown |= {"usage": {}, "timings": {}}
    yield _line({"jsonrpc": "2.0", "result": shown, "id": 1}).replace("{}", "{…}")


def _line(message: dict[str, Any]) -> str:
    return encode(message).decode().rstrip("\n")


def _methods() -> Iterator[str]:
    yield "## Methods"
    noun = ""
    for method in METHODS.values():
        title = _NOUNS[method.name.partition(".")[0]]
        if title != noun:
            noun = title
            yield ""
            yield f"### {noun}"
        yield ""
        yield from _method(method)


def _method(method: Method) -> Iterator[str]:
    yield f"#### `{method.name}`"
    yield ""
    yield method.doc
    yield ""
    if method.params is NoParams:
        yield "Parameters: none."
    else:
        yield from _table(method.params, needed="required")
    yield ""
    if method.result is None:
        yield f"Result: {_PLAIN_RESULTS[method.name]}."
    else:
        yield f"Result: {_type_name(method.result)}. {_doc(method.result)}"
        if not _is_value(method.result):
            yield ""
            yield from _table(method.result)
    if method.events:
        yield ""
        yield "Notifications: " + ", ".join(_link(event_name(event)) for event in method.events) + "."
    if method.errors:
        yield ""
        yield "Errors: " + ", ".join(_link(error.__name__) for error in method.errors) + "."


def _notifications() -> Iterator[str]:
    yield "## Notifications"
    yield ""
    yield (
        "`turn.*` reach the connection that started the turn and those attached to it, and carry "
        + ", ".join(f"`{name}` ({field['description']})" for name, field in TURN_ENVELOPE.items())
        + " beside what the tables list. The turn's result has `last_seq`, so a reader knows that nothing is missing."
    )
    for event in EVENTS:
        yield ""
        yield f"### `{event_name(event)}`"
        yield ""
        yield _doc(event)
        yield ""
        yield from _table(event)


def _records() -> Iterator[str]:
    yield "## Records"
    yield ""
    yield "What results and notifications are made of. Times are RFC 3339 in UTC; a field without a value is left out."
    for record in _used_records():
        yield ""
        yield f"### {record.__name__}"
        yield ""
        yield _doc(record)
        yield ""
        yield from _table(record)


def _errors() -> Iterator[str]:
    yield "## Errors"
    yield ""
    yield (
        "`error.message` is one line; `error.data` holds the fields below and, where there is something to do, a "
        "`hint`. The command line ends with the exit status. The first five, `Overloaded` and `ShuttingDown` can be "
        "the answer to any method."
    )
    yield ""
    yield "| error | code | exit | meaning | data |"
    yield "|---|---|---|---|---|"
    for error in RPC_ERRORS:
        data = ", ".join(f"`{name}` ({_cell(text)})" for name, text in error.data_fields.items())
        anchor = f'<a id="{error.__name__.lower()}"></a>'
        yield f"| {anchor}{error.__name__} | {error.code} | {error.exit_status} | {_cell(_doc(error))} | {data} |"


def _limits() -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield "Section `[limits]` of `config.toml`; the defaults:"
    yield ""
    yield "| limit | default | meaning |"
    yield "|---|---|---|"
    for field in fields_of(LimitsSection):
        yield f"| `{field.name}` | {_needed(_default(LimitsSection, field.name))} | {_cell(field.doc)} |"


def _table(record: type, needed: str = "") -> Iterator[str]:
    """Fields as table rows; with `needed`, a column says which must be given and what the others default to."""
    properties = schema_of(record)["properties"]
    columns: dict[str, list[str]] = {"name": [], "type": [], needed: [], "limits": [], "meaning": []}
    for field in fields_of(record):
        default = _default(record, field.name)
        # A reply leaves out what has no value.
        columns["name"].append(f"`{field.name}`" + ("?" if default is None and not needed else ""))
        columns["type"].append(_type_name(field.type))
        columns[needed].append(_needed(default))
        columns["limits"].append(_bounds(properties[field.name]))
        columns["meaning"].append(_cell(field.doc))
    shown = {title: cells for title, cells in columns.items() if title and any(cells)}
    yield "| " + " | ".join(shown) + " |"
    yield "|---" * len(shown) + "|"
    for cells in zip(*shown.values(), strict=True):
        yield "| " + " | ".join(cells) + " |"


def _default(record: type, name: str) -> Any:
    return record.__dataclass_fields__[name].default  # type: ignore[attr-defined]  # records are dataclasses


def _needed(default: Any) -> str:
    """The column of a parameter: must it be given, and what it is otherwise."""
    if default is dataclasses.MISSING:
        return "yes"
    return "no" if default in (None, ()) else f"`{json.dumps(dump(default))}`"


def _type_name(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type_name(args[0])
    if origin in (Union, types.UnionType):
        return " \\| ".join(_type_name(option) for option in args if option is not types.NoneType)
    if origin is Literal:
        return " \\| ".join(f'`"{value}"`' for value in args)
    if origin is tuple:
        return f"array of {_type_name(args[0])}"
    kind = getattr(origin or kind, "__supertype__", origin or kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _link(kind.__name__) if _is_value(kind) else f"`{kind.__name__}`"
    return _PLAIN[kind]


def _is_value(record: type) -> bool:
    """Tells whether it is a value with a section of its own, and not a method's parameters or result."""
    return record.__module__.rpartition(".")[2] in ("types", "tuning")


def _used_records() -> list[type]:
    """The values that a method or a notification reaches, by name."""
    found: set[type] = set()
    for method in METHODS.values():
        _collect(method.params, found)
        if method.result is not None:
            _collect(method.result, found)
    for event in EVENTS:
        _collect(event, found)
    return sorted(filter(_is_value, found), key=lambda record: record.__name__)


def _collect(kind: Any, found: set[type]) -> None:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind not in found:
            found.add(kind)
            for field in fields_of(kind):
                _collect(field.type, found)
    else:
        for part in get_args(kind):
            _collect(part, found)


def _bounds(schema: dict[str, Any]) -> str:
    parts = [_range(schema.get("minimum"), schema.get("maximum"), "")]
    for suffix, unit in _UNITS.items():
        parts.append(_range(schema.get(f"min{suffix}"), schema.get(f"max{suffix}"), unit))
    return ", ".join(part for part in parts if part)


def _range(low: float | None, high: float | None, unit: str) -> str:
    last = high if high is not None else low
    suffix = f" {unit}" + ("" if last == 1 else "s") if unit else ""
    if low is not None and high is not None:
        return f"{low} to {high}{suffix}"
    if high is not None:
        return f"at most {high}{suffix}"
    return f"at least {low}{suffix}" if low is not None else ""


def _bytes(count: int) -> str:
    return f"{count >> 20} MiB" if count % (1 << 20) == 0 else f"{count} bytes"


def _link(name: str) -> str:
    # The anchor that common Markdown renderers give to a heading: lower case, no punctuation.
    return f"[`{name}`](#{name.lower().replace('.', '')})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _doc(thing: type) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode())  # UTF-8 whatever the locale
