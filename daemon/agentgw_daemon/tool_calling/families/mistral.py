"""Mistral: `[TOOL_CALLS] [{…}, …]`, and since late 2024 `[TOOL_CALLS]NAME[ARGS]{…}` once a call."""

from __future__ import annotations

from typing import Final

from agentgw_daemon.tool_calling.answers.events import Malformed
from agentgw_daemon.tool_calling.answers.reading import CUT_OFF, THINKING, call, json_block, read_answer
from agentgw_daemon.tool_calling.answers.stream import Reading, TextCursor, read_json, read_space, read_until

_OPENING: Final = "[TOOL_CALLS]"
_ARGUMENTS: Final = "[ARGS]"
_as_list: Final = json_block(_OPENING)


def read_mistral(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """An answer of either kind."""
    thinking = {**THINKING, "[THINK]": "[/THINK]"}
    yield from read_answer(stream, {_OPENING: _read_calls}, thinking=thinking, thinks_first=thinks_first)


def _read_calls(stream: TextCursor) -> Reading[None]:
    end: str | None = _OPENING
    while end == _OPENING:
        yield from read_space(stream)
        if stream.rest[:1] in ("[", "{"):
            yield from _as_list(stream)
            return
        header, end = yield from read_until(stream, (_ARGUMENTS, _OPENING))
        if end == _ARGUMENTS:
            end = yield from _read_arguments(stream, header)
        else:
            yield Malformed(text=header, reason=CUT_OFF if end is None else "the call has no arguments")


def _read_arguments(stream: TextCursor, header: str) -> Reading[str | None]:
    """The call with this header, and the marker of the next one if it was met."""
    name = header.partition("[CALL_ID]")[0].strip()
    yield from read_space(stream)
    text = (yield from read_json(stream)) if stream.rest[:1] == "{" else None
    if text is None:
        text, end = yield from read_until(stream, (_OPENING,))
        yield Malformed(text=f"{header}{_ARGUMENTS}{text}", reason=CUT_OFF)
        return end
    yield call(name, text, text)
    return None
