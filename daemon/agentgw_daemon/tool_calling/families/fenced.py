"""Gemma: Python-style calls in a fence that is marked `tool_code`."""

from __future__ import annotations

from typing import Final

from agentgw_daemon.tool_calling.answers.events import Malformed
from agentgw_daemon.tool_calling.answers.reading import CUT_OFF, calls_of, python_calls, read_answer
from agentgw_daemon.tool_calling.answers.stream import Reading, TextCursor, read_until

_OPENING: Final = "```tool_code"
# On a line of its own, so that a string with a fence in it does not end the call.
_CLOSING: Final = "\n```"


def read_fenced(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """An answer with such fences."""
    yield from read_answer(stream, {_OPENING: _read_fence}, thinks_first=thinks_first)


def _read_fence(stream: TextCursor) -> Reading[None]:
    body, end = yield from read_until(stream, (_CLOSING,))
    if end is None:
        yield Malformed(text=_OPENING + body, reason=CUT_OFF)
    elif body.strip()[:2] in ("{", '{"', "[{"):
        yield from calls_of(body.strip())
    else:
        yield from python_calls(body)
