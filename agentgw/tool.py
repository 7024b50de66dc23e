"""Tools of your own: a Python function that a model may call.

    from agentgw.tool import tool

    @tool(effect="none")
    def word_count(text: str, unique: bool = False) -> int:
        \"\"\"Counts the words of a text.\"\"\"
        words = text.split()
        return len(set(words) if unique else words)

A file with such functions in the folder `tools` beside `config.toml` is all there is to do. The docstring's first line
tells the model what the tool does, its section `Args:` what each parameter means. Parameters may be annotated with
str, int, float, bool, list, dict, Literal, `X | None` and lists and dicts of these; what has a default may be left
out. The function gives text or anything that is JSON, and may be `async` (asyncio). Standard library only.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints, overload

Effect = Literal["none", "read", "write", "command", "network"]

_SCALARS: Final[dict[Any, str]] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ARGS: Final = re.compile(r"(?:Args|Arguments|Parameters):")
_ARG: Final = re.compile(r"\*{0,2}(\w+)(?:\s*\([^)]*\))?\s*:\s*(.*)")


class UserTool:
    """A function with its description for a model. Called like the function itself."""

    def __init__(self, function: Callable[..., Any], effect: Effect, outbound: bool, own_output: bool) -> None:
        if effect not in get_args(Effect):
            raise TypeError(f"effect must be one of {', '.join(get_args(Effect))}")
        self.function = function
        self.name = function.__name__
        self.effect = effect
        self.outbound = outbound
        self.own_output = own_output
        self.description, documented = _documentation(function)
        self.parameters = _parameters(function, documented)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself."""
        return self.function(*args, **kwargs)

    def run(self, arguments: dict[str, Any]) -> str:
        """The result as text. Raises TypeError for names that do not fit, and whatever the function raises."""
        result = self.function(**arguments)
        if inspect.iscoroutine(result):
            import asyncio

            result = asyncio.run(result)
        if result is None:
            return ""
        return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)


@overload
def tool(function: Callable[..., Any], /) -> UserTool: ...


@overload
def tool(
    *, effect: Effect = "command", outbound: bool = False, own_output: bool = False
) -> Callable[[Callable[..., Any]], UserTool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: Effect = "command",
    outbound: bool = False,
    own_output: bool = False,
) -> UserTool | Callable[[Callable[..., Any]], UserTool]:
    """Makes a function a tool. Raises TypeError for a parameter that has no schema.

    `effect` says what a call does: "none", "read", "write", "command" (anything) or "network". The user is asked
    accordingly. `outbound` says that a call can carry data out of the machine, as "network" and "command" always can.
    `own_output` says that no result holds text that somebody else wrote (a file, a page, a mail). Without it, and
    unless the effect is "none", calls that can carry data out are always asked about after such a result.
    """
    if function is not None:
        return UserTool(function, effect, outbound, own_output)
    return lambda decorated: UserTool(decorated, effect, outbound, own_output)


def _documentation(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The docstring's first line, and what it says of each parameter."""
    lines = (inspect.getdoc(function) or "").splitlines()
    if not lines or not lines[0].strip():
        raise TypeError(f"{function.__name__} needs a docstring: its first line tells the model what it does")
    documented: dict[str, str] = {}
    name = margin = ""
    inside = False
    for line in lines[1:]:
        indent = line[: len(line) - len(line.lstrip())]
        if _ARGS.fullmatch(line.strip()):
            inside, name, margin = True, "", ""
        elif inside and line.strip() and not indent:
            inside = False
        elif inside and (found := _ARG.fullmatch(line.strip())) and (not margin or len(indent) <= len(margin)):
            name, margin = found[1], indent
            documented[name] = found[2]
        elif inside and name and line.strip():
            documented[name] += " " + line.strip()
    return lines[0].strip(), documented


def _parameters(function: Callable[..., Any], documented: dict[str, str]) -> dict[str, Any]:
    hints = get_type_hints(function)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{function.__name__}: {parameter} cannot be given by name")
        schema = _schema(hints.get(name, str), f"{function.__name__}: {name}")
        if name in documented:
            schema["description"] = documented[name]
        if parameter.default is parameter.empty:
            required.append(name)
        elif isinstance(parameter.default, str | int | float):
            schema["default"] = parameter.default
        properties[name] = schema
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema(hint: Any, where: str) -> dict[str, Any]:
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    origin, args = get_origin(hint), get_args(hint)
    if hint is type(None):
        return {"type": "null"}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(option, where) for option in args]}
    if hint is list or origin is list:
        return {"type": "array", "items": _schema(args[0], where)} if args else {"type": "array"}
    if hint is dict or origin is dict:
        if not args:
            return {"type": "object"}
        if args[0] is str:
            return {"type": "object", "additionalProperties": _schema(args[1], where)}
    if hint is Any:
        return {}
    raise TypeError(f"{where} has a type that a model cannot give: {hint}")
