"""DeepSeek: calls between markers of their own, with the name before a separator and the arguments behind it."""

from __future__ import annotations

import re
from typing import Final

from agentgw_daemon.tool_calling.answers.events import Malformed
from agentgw_daemon.tool_calling.answers.reading import CUT_OFF, call, read_answer
from agentgw_daemon.tool_calling.answers.stream import Reading, TextCursor, read_until

_BEGIN: Final = "<｜tool▁call▁begin｜>"
_SEPARATOR: Final = "<｜tool▁sep｜>"
_END: Final = "<｜tool▁call▁end｜>"
_OTHERS: Final = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", _END)
# V3 and R1: `function` SEPARATOR NAME, then the arguments in a fence. V3.1: NAME SEPARATOR arguments.
_FENCED: Final = re.compile(r"\s*([^\n]+)\n+```(?:json)?\n(.*?)\n?```\s*", re.S)


def read_deepseek(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """An answer of V3, R1, V3.1 or a model distilled from them."""
    yield from read_answer(stream, {_BEGIN: _read_call}, dropped=_OTHERS, thinks_first=thinks_first)


def _read_call(stream: TextCursor) -> Reading[None]:
    body, end = yield from read_until(stream, (_END,))
    if end is None:
        yield Malformed(text=_BEGIN + body, reason=CUT_OFF)
        return
    head, separator, arguments = body.partition(_SEPARATOR)
    name = head.strip()
    if name == "function" and (fenced := _FENCED.fullmatch(arguments)):
        name, arguments = fenced[1].strip(), fenced[2]
    if not separator or not name:
        yield Malformed(text=body, reason="the call has no name before its arguments")
    else:
        yield call(name, arguments, body)
