"""gpt-oss: messages with a header that names their channel and, for a call, whom they go to.

`<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>commentary to=functions.NAME <|constrain|>json
<|message|>{…}<|call|>`, and `final` for the answer. The markers that end an answer never arrive.
"""

from __future__ import annotations

import re
from typing import Final

from agentgw_daemon.tool_calling.answers.events import AnswerText, Malformed, Reasoning
from agentgw_daemon.tool_calling.answers.reading import CUT_OFF, call
from agentgw_daemon.tool_calling.answers.stream import Reading, TextCursor, read_choice, read_text, read_until

_MESSAGE: Final = "<|message|>"
_HEADS: Final = ("<|channel|>", "<|start|>")
_ENDS: Final = ("<|end|>", "<|call|>", "<|return|>", *_HEADS)
_RECIPIENT: Final = re.compile(r"\bto=(?:functions\.)?([^\s<]+)")


def read_harmony(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """An answer of a gpt-oss model. Text without any header is answer text."""
    del thinks_first  # reasoning has a header of its own
    if not (yield from read_choice(stream, _HEADS)) and (yield from read_text(stream, _HEADS)) is None:
        return
    while True:
        header, end = yield from read_until(stream, (_MESSAGE,))
        if end is None:
            if "to=" in header:
                yield Malformed(text=header, reason=CUT_OFF)
            return
        if recipient := _RECIPIENT.search(header):
            marker = yield from _read_call(stream, recipient[1])
        else:
            marker = yield from read_text(stream, _ENDS, Reasoning if "analysis" in header else AnswerText)
        while marker is not None and marker not in _HEADS:
            marker = yield from read_text(stream, (*_HEADS, *_ENDS))
        if marker is None:
            return


def _read_call(stream: TextCursor, name: str) -> Reading[str | None]:
    arguments, marker = yield from read_until(stream, _ENDS)
    event = call(name, arguments, arguments)
    if marker is None and isinstance(event, Malformed) and not arguments.rstrip().endswith("}"):
        event = Malformed(text=arguments, reason=CUT_OFF)
    yield event
    return marker
