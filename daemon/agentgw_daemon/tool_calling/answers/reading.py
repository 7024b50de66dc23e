"""Calls out of the text that stands between markers: JSON and Python-style calls, and the answer around them.

What looks like a call and is none becomes Malformed with a reason for the model; nothing is repaired.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from agentgw_daemon.text.valid import read_json as read_value
from agentgw_daemon.text.valid import valid_text
from agentgw_daemon.tool_calling.answers.events import AnswerText, Malformed, ModelToolCall, ParseEvent, Reasoning
from agentgw_daemon.tool_calling.answers.stream import (
    Reading,
    TextCursor,
    read_choice,
    read_json,
    read_space,
    read_text,
    read_until,
)

CUT_OFF: Final = "the call was cut off before its end"
NO_JSON: Final = 'a call must be a JSON object: {"name": …, "arguments": {…}}'
# The longest name that any endpoint takes has 64; what a server adds to its tools' names comes on top.
MOST_NAME_CHARACTERS: Final = 256
_NAMES: Final = ("name", "tool_name")
_ARGUMENTS: Final = ("arguments", "parameters")
THINKING: Final = {"<think>": "</think>"}

BlockReader = Callable[[TextCursor], Reading[None]]


def read_answer(
    stream: TextCursor,
    blocks: Mapping[str, BlockReader],
    *,
    thinking: Mapping[str, str] = THINKING,
    dropped: tuple[str, ...] = (),
    thinks_first: str | None = None,
) -> Reading[None]:
    """The answer: text, reasoning between the `thinking` markers, and what each block's reader makes after its marker.

    `dropped` markers mean nothing. `thinks_first` is the marker that ends the reasoning which the prompt has begun.
    """
    if thinks_first is not None:
        yield from read_text(stream, (thinks_first,), Reasoning)
        yield from read_space(stream)
    markers = (*blocks, *thinking, *thinking.values(), *dropped)
    while (marker := (yield from read_text(stream, markers))) is not None:
        if marker in blocks:
            yield from blocks[marker](stream)
        elif marker in thinking:
            yield from read_text(stream, (thinking[marker],), Reasoning)
        yield from read_space(stream)


def json_block(opening: str, *closings: str) -> BlockReader:
    """Reads JSON calls, one or a list, up to a closing marker; without one they end with their last bracket."""

    def read(stream: TextCursor) -> Reading[None]:
        while True:
            yield from read_space(stream)
            text = (yield from read_json(stream)) if stream.rest[:1] in ("{", "[") else None
            events = list(calls_of(text)) if text is not None else []
            if text is None or any(isinstance(event, Malformed) for event in events):
                # Where a broken call ends only a marker can tell.
                more, marker = yield from read_until(stream, closings or (opening,))
                broken = (text or "") + more
                events = events or [Malformed(text=broken, reason=_why_broken(broken, ended=marker is not None))]
                yield from events
                if marker == opening:
                    continue
                return
            yield from events
            if not closings:
                return
            yield from read_space(stream)
            if stream.rest[:1] in ("{", "["):
                continue
            end = yield from read_choice(stream, (*closings, opening))
            if end is None:
                # A bracket too many, or words; without a marker after all they are an answer.
                more, end = yield from read_until(stream, (*closings, opening))
                if end is None and more:
                    yield AnswerText(text=more)
            if end != opening:
                return

    return read


def _why_broken(text: str, *, ended: bool) -> str:
    if not ended:
        return CUT_OFF
    loaded = load(text)
    return loaded.reason if isinstance(loaded, Malformed) else NO_JSON


def load(text: str) -> object:
    """The JSON value of a text, by the rules of the wire; Malformed if it is none."""
    try:
        return read_value(text)
    except ValueError as error:
        return Malformed(text=text, reason=f"the call is not valid JSON: {str(error)[:80]}")


def calls_of(text: str) -> Iterator[ParseEvent]:
    """The calls in JSON text that holds one object or a list of them."""
    value = load(text)
    if isinstance(value, Malformed):
        yield value
        return
    for item in value if isinstance(value, list) else [value]:
        yield call_of(item, text)


def call_of(item: object, text: str) -> ParseEvent:
    """The call that a JSON object describes. `{"function": {…}}` around it, as some models write, is allowed."""
    if isinstance(item, dict) and isinstance(item.get("function"), dict):
        item = item["function"]
    if not isinstance(item, dict):
        return Malformed(text=text, reason=NO_JSON)
    name = next((item[key] for key in _NAMES if key in item), None)
    if not isinstance(name, str) or not name:
        return Malformed(text=text, reason='the call has no "name"')
    if not any(key in item for key in _ARGUMENTS):
        return Malformed(text=text, reason=f'the call of {name} has no "arguments"')
    return call(name, next(item[key] for key in _ARGUMENTS if key in item), text)


def call(name: str, arguments: object, text: str) -> ModelToolCall | Malformed:
    """The call with these arguments: an object, or JSON text of one, as some models write."""
    if len(name) > MOST_NAME_CHARACTERS:
        return Malformed(text=text, reason=f"no tool has a name of more than {MOST_NAME_CHARACTERS} characters")
    if isinstance(arguments, str):
        arguments = load(arguments)
        if isinstance(arguments, Malformed):
            return Malformed(text=text, reason=arguments.reason)
    if not isinstance(arguments, dict):
        return Malformed(text=text, reason=f"the arguments of {name} must be a JSON object")
    try:
        made = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        # A call that a model wrote in another form than JSON holds to the same rules.
        read_value(made)
    except (ValueError, TypeError, RecursionError):
        return Malformed(text=text, reason=f"the arguments of {name} hold a value that JSON has not")
    return ModelToolCall(name=valid_text(name), arguments=valid_text(made))


def python_calls(text: str) -> Iterator[ParseEvent]:
    """The calls in Python-style text: `read_file(path="a.txt")`, a list of such, or one in `print(…)`."""
    try:
        body = ast.parse(text.strip()).body
        found = [call for statement in body for call in _python_calls(statement)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield Malformed(text=text, reason='a call must look like tool_name(argument="value")')
        return
    if not found:
        yield Malformed(text=text, reason="there is no call in it")
    for name, arguments in found:
        yield call(name, arguments, text)


def _python_calls(statement: ast.stmt) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(statement, ast.Expr):
        raise ValueError("no call")
    value = statement.value
    for node in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
        if not isinstance(node, ast.Call):
            raise ValueError("no call")
        if isinstance(node.func, ast.Name) and node.func.id == "print" and node.args and not node.keywords:
            inner = node.args[0]
            if not isinstance(inner, ast.Call):
                raise ValueError("no call")
            node = inner  # noqa: PLW2901  # the call that is printed
        if node.args:
            raise ValueError("arguments need names")
        name = ast.unparse(node.func).removesuffix(".call")
        yield name, {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
