"""The JSON that a schema asked for, out of what models write around it: a block of thought, a code fence.

For models that are not held to a schema token by token. What is neither stays in the answer, where whoever checks it
against the schema finds it: nothing is repaired.
"""

from __future__ import annotations

import re
from typing import Final

from agentgw_daemon.tool_calling.answers.events import AnswerText, Reasoning
from agentgw_daemon.tool_calling.answers.reading import THINKING
from agentgw_daemon.tool_calling.answers.stream import (
    Reading,
    StreamParser,
    TextCursor,
    read_choice,
    read_json,
    read_space,
    read_text,
    read_until,
)

_FENCES: Final = ("```", "~~~")
# By whatever name a model knows it: before JSON it can be nothing else.
_THINKING: Final = {**THINKING, "<thinking>": "</thinking>", "<thought>": "</thought>", "<reasoning>": "</reasoning>"}
# Marks of text files, which some put before all that they write.
_MARKS: Final = "\ufeff\u200b"
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_+.-]*")
_CLOSINGS: Final = tuple(_THINKING.values())


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
        if stream.rest[:1] and stream.rest[0] in _MARKS:
            stream.take(1)
            continue
        marker = yield from read_choice(stream, (*_THINKING, *_FENCES))
        if marker in _THINKING:
            yield from read_text(stream, (_THINKING[marker],), Reasoning)
        elif marker is not None:
            yield from _read_fenced(stream, (yield from _read_run(stream, marker)))
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


def _read_run(stream: TextCursor, fence: str) -> Reading[str]:
    """The whole fence, of which the first three characters are taken: it may be longer."""
    while True:
        more = len(stream.rest) - len(stream.rest.lstrip(fence[0]))
        if more < len(stream.rest) or stream.closed:
            return fence + stream.take(more)
        yield None


def _read_fenced(stream: TextCursor, fence: str) -> Reading[None]:
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
        text, _ = yield from read_until(stream, (fence,))
        text = text.rstrip()
    else:
        yield from read_space(stream)
        yield from read_choice(stream, (fence,))
    yield AnswerText(text=text)
    yield from read_space(stream)
    yield from read_text(stream, (), AnswerText)
