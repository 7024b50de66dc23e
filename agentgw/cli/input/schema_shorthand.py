"""Forms that `--schema` takes: a JSON Schema in a file or in place, or the short form `name, age int, tags [str]`.

The short form is an object that has exactly these properties, separated by commas or line ends. Each is a name, then
a type if it is not text (`str`, `int`, `float`, `bool`, or one of them in brackets for an array), then, if the model
should know more, a colon and a description up to the next separator: `born int: the year`.
"""

from __future__ import annotations

import json
import os

from agentgw.protocol.errors import UsageError
from agentgw.transport.framing import MAX_MESSAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

TYPES: Final = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_HINT: Final = 'write --schema "name, age int, tags [str]", a JSON Schema or the name of a file'


def read_schema(text: str) -> dict[str, Any]:
    """The JSON Schema that the word after `--schema` stands for. Raises UsageError."""
    if text.lstrip().startswith("{"):
        return _parse(text, "--schema")
    # A name that is a file wins over a property of that name.
    if os.path.isfile(text):
        return _parse(_read(text), text)
    if os.sep in text.split(":")[0] or text.endswith(".json"):
        raise UsageError(f"{text} cannot be read: there is no such file", hint=_HINT)
    return short_form(text)


def short_form(text: str) -> dict[str, Any]:
    """The JSON Schema of the short form. Raises UsageError."""
    properties: dict[str, Any] = {}
    for part in text.replace("\n", ",").split(","):
        if not part.strip():
            continue
        words, colon, description = part.partition(":")
        name, _, kind = " ".join(words.split()).partition(" ")
        if not name.replace("-", "_").isidentifier():
            raise UsageError(f"--schema: {part.strip()[:80]!r} does not begin with a name", hint=_HINT)
        if name in properties:
            raise UsageError(f"--schema: there are two {name}", hint=_HINT)
        properties[name] = _typed(name, kind)
        if colon and description.strip():
            properties[name]["description"] = description.strip()
    if not properties:
        raise UsageError("--schema is empty", hint=_HINT)
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _typed(name: str, kind: str) -> dict[str, Any]:
    kind = kind.strip() or "str"
    if kind.startswith("[") and kind.endswith("]"):
        return {"type": "array", "items": _typed(name, kind[1:-1])}
    if kind not in TYPES:
        raise UsageError(f"--schema: {name} has no known type: {kind[:80]}", hint=f"known are {', '.join(TYPES)}")
    return {"type": TYPES[kind]}


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_MESSAGE_BYTES + 1)
        if len(data) > MAX_MESSAGE_BYTES:
            raise UsageError(f"{path} has more than the {MAX_MESSAGE_BYTES} bytes a message may have", hint=_HINT)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=_HINT) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})", hint=_HINT) from None


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        made = json.loads(text)
    except RecursionError:
        raise UsageError(f"{name} nests too deeply", hint=_HINT) from None
    except ValueError as error:
        raise UsageError(f"{name} is no JSON: {error}", hint=_HINT) from None
    if not isinstance(made, dict):
        raise UsageError(f"{name} is no JSON Schema: it must be an object", hint=_HINT)
    return made
