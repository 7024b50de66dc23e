"""`<function=NAME>` calls: with a tag a parameter (Qwen3-Coder) or with a JSON object (Llama 3.1, Functionary 3.1)."""

from __future__ import annotations

import re
from typing import Final

from agentgw_daemon.tool_calling.answers.events import Malformed, ParseEvent
from agentgw_daemon.tool_calling.answers.reading import CUT_OFF, call, load, read_answer
from agentgw_daemon.tool_calling.answers.stream import (
    Reading,
    TextCursor,
    read_choice,
    read_json,
    read_space,
    read_until,
)

OPENING: Final = "<function="
_CLOSING: Final = "</function>"
_PARAMETER: Final = re.compile(r"\s*<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>\s*", re.S)


def read_tagged(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """An answer with such calls and no other markers."""
    yield from read_answer(stream, {OPENING: read_function}, dropped=(_CLOSING,), thinks_first=thinks_first)


def read_function(stream: TextCursor) -> Reading[None]:
    """One call, from behind its opening marker to its closing one."""
    name, end = yield from read_until(stream, (">",))
    if end is None:
        yield Malformed(text=OPENING + name, reason=CUT_OFF)
        return
    yield from read_space(stream)
    if stream.rest[:1] == "{" and (text := (yield from read_json(stream))) is not None:
        yield call(name.strip(), text, text)
        yield from read_space(stream)
        yield from read_choice(stream, (_CLOSING,))
        return
    body, end = yield from read_until(stream, (_CLOSING,))
    if end is None:
        yield Malformed(text=f"{OPENING}{name}>{body}", reason=CUT_OFF)
        return
    yield _call(name.strip(), body)


def _call(name: str, body: str) -> ParseEvent:
    arguments: dict[str, object] = {}
    at = 0
    while found := _PARAMETER.match(body, at):
        arguments[found[1].strip()] = _value(found[2])
        at = found.end()
    if body[at:].strip():
        return Malformed(text=body, reason=f"the parameters of {name} must each stand in <parameter=NAME>…</parameter>")
    return call(name, arguments, body)


def _value(text: str) -> object:
    """The meaning of a parameter's text: JSON where it is some, else the text itself.

    Only the tool's schema could tell the number 1 from the text "1"; whoever checks the arguments may turn it back.
    """
    if text[:1] in ("{", "[") or text in ("true", "false", "null") or re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", text):
        value = load(text)
        return text if isinstance(value, Malformed) else value
    return text
