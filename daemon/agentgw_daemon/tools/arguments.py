"""Arguments of a call against the tool's schema, before anything else looks at them. Does no I/O."""

from __future__ import annotations

from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from agentgw_daemon.tools.parameters import weight
from agentgw_daemon.tools.tool import CallFailed, ToolSpec

# jsonschema quotes the offending value, which can be a whole file.
MAX_REASON_CHARS: Final = 300
# Every value may meet every part of the schema, at some 10 microseconds, and whatever does not fit is quoted whole. The
# schemas of our own tools have some 30 parts: what fits into a frame of the wire passes the second.
MOST_COMPARED: Final = 100_000
MOST_QUOTED_CHARS: Final = 64 << 20
# Without entries and without a way to get any: a schema from a stranger must not make us fetch what it refers to.
_NO_REFERENCES: Final[Registry[Any]] = Registry()


def check_arguments(spec: ToolSpec, arguments: object) -> dict[str, Any]:
    """The arguments, if they are what the tool takes. Raises CallFailed, which names the argument."""
    if not isinstance(arguments, dict):
        raise CallFailed(f"{spec.name}: arguments must be a JSON object")
    if (where := _lone_surrogate(arguments, "")) is not None:
        raise CallFailed(f"{spec.name}: {where or 'arguments'} is not valid Unicode")
    parts, (values, chars) = weight(spec.parameters), _size(arguments)
    if parts * values > MOST_COMPARED or parts * chars > MOST_QUOTED_CHARS:
        raise CallFailed(f"{spec.name}: the arguments are too large to be checked by the tool's schema: give less")
    validator = Draft202012Validator(spec.parameters, registry=_NO_REFERENCES)
    try:
        error: ValidationError | None = best_match(validator.iter_errors(arguments))
    except (Unresolvable, RecursionError):
        # A stranger's schema that refers elsewhere, or to itself.
        raise CallFailed(f"{spec.name}: the tool's own schema cannot be used") from None
    if error is None:
        return arguments
    path = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in error.absolute_path)
    reason = error.message if len(error.message) <= MAX_REASON_CHARS else f"{error.message[:MAX_REASON_CHARS]}…"
    where = f"{path.removeprefix('.')}: " if path else ""
    known = ", ".join(spec.parameters.get("properties", ()))
    raise CallFailed(f"{spec.name}: {where}{reason}; arguments are: {known or 'none'}")


def _size(value: object) -> tuple[int, int]:
    """The number of values it is made of, and how long they are in all."""
    match value:
        case str():
            return 1, len(value)
        case dict():
            sizes = [(values, chars + len(name)) for name, one in value.items() for values, chars in (_size(one),)]
        case list():
            sizes = [_size(one) for one in value]
        case _:
            return 1, 8
    return 1 + sum(values for values, _ in sizes), sum(chars for _, chars in sizes)


def _lone_surrogate(value: object, path: str) -> str | None:
    """The path of a string that no file name, socket or database takes."""
    match value:
        case str():
            return path if any("\ud800" <= one <= "\udfff" for one in value) else None
        case dict():
            items = [(f"{path}.{name}".removeprefix("."), one) for name, one in value.items()]
            found = "" if any(_lone_surrogate(name, "") is not None for name in value) else None
        case list():
            items, found = [(f"{path}[{i}]", one) for i, one in enumerate(value)], None
        case _:
            return None
    return next((bad for where, one in items if (bad := _lone_surrogate(one, where)) is not None), found)
