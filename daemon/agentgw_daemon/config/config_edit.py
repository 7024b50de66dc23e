"""One key of `config.toml` set in its text, or taken out of it: comments, order and spelling of the rest stay. Pure.

TOML has many ways to write a key. This knows the plain one, a line in its section; the result is parsed and compared
with what it is to say, so a file that is written in another way is refused and never spoiled.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentgw.protocol.errors import ConfigRefused

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"\s*\[[^\[].*\]\s*(#.*)?")


def with_value(text: str, path: tuple[str, ...], value: Any, file: str) -> str:
    """The text with the key set. Raises ConfigRefused where the key is written in another form than a line."""
    wanted = _with(_parsed(text), path, value)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    line = f"{_key(path[-1])} = {literal(value)}"
    header = next((at for at, one in enumerate(lines) if _header_of(one) == path[:-1]), None)
    if header is None:
        before = [newline] if lines and lines[-1].strip() else []
        lines += [*before, f"[{'.'.join(map(_key, path[:-1]))}]{newline}", line + newline]
    else:
        _set_in(lines, header + 1, path[-1], line, newline)
    return _checked("".join(lines), wanted, path, file)


def without_value(text: str, path: tuple[str, ...], file: str) -> str | None:
    """The text without the key, or None where it has no such key. Raises ConfigRefused as `with_value` does."""
    wanted = copy.deepcopy(_parsed(text))
    table: Any = wanted
    for name in path[:-1]:
        table = table.get(name, {})
    if path[-1] not in table:
        return None
    del table[path[-1]]
    lines = text.splitlines(keepends=True)
    header = next((at for at, one in enumerate(lines) if _header_of(one) == path[:-1]), None)
    if header is not None:
        end = _end_of_section(lines, header + 1)
        at = _line_of(lines, header + 1, end, path[-1])
        if at is not None:
            del lines[at : _last_line(lines, at, end) + 1]
    return _checked("".join(lines), wanted, path, file)


def _checked(made: str, wanted: dict[str, Any], path: tuple[str, ...], file: str) -> str:
    if _parsed(made) != wanted:
        raise ConfigRefused(
            f"{file}: {'.'.join(path)} is written in a form that is not edited by itself",
            hint="change it with agentgw config edit",
        )
    return made


def literal(value: Any) -> str:
    """The value as TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(name)} = {literal(one)}" for name, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(literal, value)) + "]"
    return _quoted(str(value))


def _set_in(lines: list[str], first: int, key: str, line: str, newline: str) -> None:
    """Put the line where the key stands, else below its commented line, else at the end of the section."""
    end = _end_of_section(lines, first)
    if (at := _line_of(lines, first, end, key)) is not None:
        last = _last_line(lines, at, end)
        comment = _comment_of(lines[at]) if last == at else ""
        lines[at : last + 1] = [f"{line}{comment}{newline}"]
        return
    commented = [at for at in range(first, end) if re.match(rf"\s*#\s*{_spellings(key)}", lines[at])]
    while end > first and not lines[end - 1].strip():
        end -= 1
    lines.insert(commented[0] + 1 if commented else end, line + newline)


def _end_of_section(lines: list[str], first: int) -> int:
    return next((at for at in range(first, len(lines)) if lines[at].lstrip().startswith("[")), len(lines))


def _line_of(lines: list[str], first: int, end: int, key: str) -> int | None:
    """The line on which the value of the key begins."""
    return next((at for at in range(first, end) if re.match(rf"\s*{_spellings(key)}", lines[at])), None)


def _spellings(key: str) -> str:
    return rf"(?:{re.escape(key)}|\"{re.escape(key)}\"|'{re.escape(key)}')\s*="


def _last_line(lines: list[str], first: int, end: int) -> int:
    """The line with which the value that begins at `first` is whole."""
    for last in range(first, end):
        if _is_toml("".join(lines[first : last + 1])):
            return last
    return first


def _comment_of(line: str) -> str:
    """The comment behind a value, with the blanks before it."""
    for found in re.finditer(r"\s*#", line):
        if _is_toml(line[: found.start()]):
            return line[found.start() :].rstrip("\r\n")
    return ""


def _header_of(line: str) -> tuple[str, ...] | None:
    """The section that the line begins."""
    if not _HEADER.fullmatch(line.rstrip("\r\n")):
        return None
    path: tuple[str, ...] = ()
    try:
        table: Any = tomllib.loads(line)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    while table:
        ((name, table),) = table.items()
        path = (*path, name)
    return path


def _with(document: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(document)
    table: Any = made
    for name in path[:-1]:
        table = table.setdefault(name, {})
    table[path[-1]] = list(value) if isinstance(value, tuple) else value
    return made


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        # What was there has been parsed before: only what was made can be none.
        return {"": None}


def _is_toml(text: str) -> bool:
    return "" not in _parsed(text)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    escaped = re.sub(
        r'[\x00-\x1f\x7f"\\]', lambda found: f"\\{found[0]}" if found[0] in '"\\' else f"\\u{ord(found[0]):04x}", text
    )
    return f'"{escaped}"'
