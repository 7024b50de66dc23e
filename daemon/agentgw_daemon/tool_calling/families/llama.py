"""Llama 3: `{"name", "parameters"}` as the whole answer, with or without `<|python_tag|>` before it."""

from __future__ import annotations

from typing import Final

from agentgw_daemon.tool_calling.answers.events import AnswerText, Malformed
from agentgw_daemon.tool_calling.answers.reading import CUT_OFF, calls_of, load, python_calls, read_answer
from agentgw_daemon.tool_calling.answers.stream import Reading, TextCursor, read_choice, read_json, read_space
from agentgw_daemon.tool_calling.families.tagged import read_function

_TAG: Final = "<|python_tag|>"
# Beginning of an answer that is a call, white space aside. Other JSON is an answer like any other.
_OPENINGS: Final = ('{"name":"', '{"type":"function"', '{"function":', '[{"name":"', '[{"type":"function"')


def read_llama(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """An answer of Llama 3.1 or later."""
    if thinks_first is None:
        yield from _read_bare(stream)
    yield from read_answer(stream, {_TAG: _read_tagged, "<function=": read_function}, thinks_first=thinks_first)


def _read_bare(stream: TextCursor) -> Reading[None]:
    """Calls that the answer begins with; several stand one after the other, with semicolons between."""
    space = yield from read_space(stream)
    if not (yield from _begins_call(stream)):
        if space:
            yield AnswerText(text=space)
        return
    while (yield from _begins_call(stream)):
        text = yield from read_json(stream)
        if text is None:
            yield Malformed(text=stream.take(len(stream.rest)), reason=CUT_OFF)
            return
        if _is_answer(text):
            yield AnswerText(text=text)
            return
        yield from calls_of(text)
        yield from _read_separator(stream)


def _begins_call(stream: TextCursor) -> Reading[bool]:
    while True:
        start = "".join(stream.rest[:200].split())
        if any(start.startswith(opening) for opening in _OPENINGS):
            return True
        if stream.closed or not any(opening.startswith(start) for opening in _OPENINGS):
            return False
        yield None


def _is_answer(text: str) -> bool:
    """Tells whether it is valid JSON that has a name as a call has, but nothing else of one."""
    value = load(text)
    items = value if isinstance(value, list) else [value]
    keys = ("parameters", "arguments", "function")
    if isinstance(value, Malformed):
        return False
    return not any(isinstance(item, dict) and any(key in item for key in keys) for item in items)


def _read_separator(stream: TextCursor) -> Reading[None]:
    yield from read_space(stream)
    if (yield from read_choice(stream, (";",))):
        yield from read_space(stream)


def _read_tagged(stream: TextCursor) -> Reading[None]:
    """Reads what follows the tag: JSON calls, or a Python-style call up to the end of the answer."""
    yield from read_space(stream)
    while stream.rest[:1] in ("{", "["):
        if (text := (yield from read_json(stream))) is None:
            yield Malformed(text=stream.take(len(stream.rest)), reason=CUT_OFF)
            return
        yield from calls_of(text) if text[0] == "{" else _calls_of_list(text)
        yield from _read_separator(stream)
        yield from read_choice(stream, (_TAG,))
        yield from read_space(stream)
    while not stream.closed:
        yield None
    if stream.rest:
        yield from python_calls(stream.take(len(stream.rest)))


def _calls_of_list(text: str) -> Reading[None]:
    # Llama 4 writes a Python list of calls, which ends with its last bracket too.
    yield from calls_of(text) if not isinstance(load(text), Malformed) else python_calls(text)
