"""Messages of the retrieval wire as lines and back: `[request_id, "Kind", {…}]`, one JSON array a line.

A message is a frozen dataclass made with `message`; its fields are numbers, text, None, `bytes` (base64 on the
wire), records made with `value`, tuples of these, and dictionaries of plain values. Standard library only.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import types
import typing
from collections.abc import Callable
from typing import Any, Final, TypeVar, dataclass_transform

from agentgw.protocol.records.frozen import frozen
from agentgw_daemon.workers.protocol.lines import WireError

C = TypeVar("C")


class WireMessage:
    """Anything that crosses the wire."""

    __slots__ = ()


class WorkerRequest(WireMessage):
    """A request of the daemon to a worker; each is ended by exactly one WorkerReply."""

    __slots__ = ()


class WorkerReply(WireMessage):
    """The end of a request."""

    __slots__ = ()


class ReplyPart(WireMessage):
    """A piece of an answer, sent before the WorkerReply."""

    __slots__ = ()


_KINDS: Final[dict[str, type[Any]]] = {}
_Convert = Callable[[Any], Any]
_READERS: Final[dict[type[Any], dict[str, _Convert]]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type[C]) -> type[C]:
    """Makes a record that may stand in messages."""
    return frozen(cls)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def message(cls: type[C]) -> type[C]:
    """Makes a message and registers it under its name. Both ends must import the module that defines it."""
    made = value(cls)
    if made.__name__ in _KINDS:
        raise TypeError(f"there is a message {made.__name__} already")
    _KINDS[made.__name__] = made
    return made


def encode(request_id: int, sent: WireMessage) -> bytes:
    """One line, newline included. Lone surrogates pass: names of files may hold anything."""
    body = {field.name: _pack(getattr(sent, field.name)) for field in dataclasses.fields(sent)}  # type: ignore[arg-type]
    text = json.dumps([request_id, type(sent).__name__, body], ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass") + b"\n"


def decode(line: bytes) -> tuple[int, WireMessage]:
    """The message of one line, and which request it belongs to; 0: to none. Raises WireError."""
    try:
        request_id, name, body = json.loads(line.decode("utf-8", "surrogatepass"))
        made = _make(_KINDS[name], body)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WireError(f"not a message: {line[:80]!r}") from error
    if type(request_id) is not int:
        raise WireError(f"not a message: {line[:80]!r}")
    return request_id, typing.cast(WireMessage, made)


def _pack(given: Any) -> Any:
    if isinstance(given, bytes):
        return base64.b64encode(given).decode("ascii")
    if isinstance(given, tuple):
        return [_pack(one) for one in given]
    if dataclasses.is_dataclass(given):
        return {field.name: _pack(getattr(given, field.name)) for field in dataclasses.fields(given)}
    return given


def _make(cls: type[Any], body: dict[str, Any]) -> Any:
    readers = _READERS.get(cls)
    if readers is None:
        hints = typing.get_type_hints(cls)
        readers = _READERS[cls] = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(cls)}
    return cls(**{name: readers[name](given) for name, given in body.items()})


def _reader(hint: Any) -> _Convert:
    """The function that turns a JSON value into a field's."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is bytes:
        return _bytes
    if origin is tuple:
        one = _reader(arguments[0])
        return tuple if one is _as_it_is else lambda given: tuple(map(one, given))
    if origin in (typing.Union, types.UnionType):
        [some] = [argument for argument in arguments if argument is not type(None)] or [None]
        reader = _reader(some)
        return lambda given: None if given is None else reader(given)
    if dataclasses.is_dataclass(hint):
        made = typing.cast("type[Any]", hint)
        return lambda given: _make(made, given)
    return _as_it_is


def _bytes(given: str) -> bytes:
    return base64.b64decode(given, validate=True)


def _as_it_is(given: Any) -> Any:
    return given
