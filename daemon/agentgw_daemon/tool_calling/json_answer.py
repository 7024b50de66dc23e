"""The JSON that a schema asked for, out of what models write around it: a block of thought, a code fence.

For models that are not held to a schema token by token. What is neither stays in the answer, where whoever checks it
against the schema finds it: nothing is repaired.
"""

from __future__ import annotations

import re
from typing import Final

from agentgw_daemon.tool_calling.events import AnswerText, Reasoning
from agentgw_daemon.tool_calling.reading import THINKING
from agentgw_daemon.tool_calling.stream import (
    Reading,
    StreamParser,
    TextCursor,
    read_choice,
    read_json,
    read_space,
    read_text,
    read_until,
)

_FENCE: Final = "```"
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_+.-]*")
_CLOSINGS: Final = tuple(THINKING.values())


def json_parser() -> StreamParser:
    """A parser for one answer."""
    return StreamParser(read_json_answer)


def read_json_answer(stream: TextCursor) -> Reading[None]:
    """The answer: reasoning before the JSON, and the JSON without its fence.

    An object or a list is passed on as it comes. What begins otherwise waits for its end, for it may turn out to be
    thought whose opening marker the prompt already had.
    """
    while True:
        yield from read_space(stream)
        marker = yield from read_choice(stream, (*THINKING, _FENCE))
        if marker in THINKING:
            yield from read_text(stream, (THINKING[marker],), Reasoning)
        elif marker is not None:
            yield from _read_fenced(stream)
            return
        elif stream.rest[:1] in ("{", "["):
            yield from read_text(stream, (), AnswerText)
            return
        else:
            text, closing = yield from read_until(stream, _CLOSINGS)
            if closing is None:
                if text:
                    yield AnswerText(text=text)
                return
            yield Reasoning(text=text)


def _read_fenced(stream: TextCursor) -> Reading[None]:
    """Reads what stands in a fence, its language aside; the fence is gone."""
    while (language := _LANGUAGE.match(stream.rest)) is not None and language.end() == len(stream.rest):
        if stream.closed:
            break
        yield None
    # Without a line's end after it, it is the answer itself: `true`, say.
    if language is not None and stream.rest[language.end() : language.end() + 1].isspace():
        stream.take(language.end())
    yield from read_space(stream)
    # By its brackets and not up to the next fence: a text in it may hold one.
    text = (yield from read_json(stream)) if stream.rest[:1] in ("{", "[") else None
    if text is None:
        text, _ = yield from read_until(stream, (_FENCE,))
        text = text.rstrip()
    else:
        yield from read_space(stream)
        yield from read_choice(stream, (_FENCE,))
    yield AnswerText(text=text)
    yield from read_space(stream)
    yield from read_text(stream, (), AnswerText)
