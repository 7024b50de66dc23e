"""Form that a chat template gives to tools, found out by rendering them; and the messages in the form that it takes.

Templates agree on `tools`, `tool_calls` and the role `tool`, and differ in the details: arguments as an object or as
JSON text, the content beside calls as an empty text or as none, several calls in one message or one only. Pure.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

# `role` and `content`; with tools also `tool_calls`, or `name` and `tool_call_id` of a result.
TemplateMessage = Mapping[str, Any]
Render = Callable[[Sequence[TemplateMessage], Sequence[Mapping[str, Any]] | None], str | None]

QUESTION: Final[TemplateMessage] = {"role": "user", "content": "?"}
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "probe_tool",
        "description": "Probes deeply",
        "parameters": {
            "type": "object",
            "properties": {"probe_key": {"type": "string", "description": "what to probe"}},
            "required": ["probe_key"],
        },
    },
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToolFormat:
    """Form of calls in messages."""

    arguments_as_text: bool
    content_as_none: bool
    one_call_each: bool

    def adapt(self, messages: Sequence[TemplateMessage]) -> list[TemplateMessage]:
        """The messages with their calls in this shape; results stay behind their calls."""
        made: list[TemplateMessage] = []
        waiting = list(messages)
        while waiting:
            message = waiting.pop(0)
            calls = message.get("tool_calls") or ()
            if self.one_call_each and len(calls) > 1:
                results = list(itertools.takewhile(lambda later: later["role"] == "tool", waiting))
                waiting = waiting[len(results) :]
                made.extend(self._one_by_one(message, calls, results))
            else:
                made.append(self._shaped(message, calls) if calls else message)
        return made

    def _one_by_one(
        self, message: TemplateMessage, calls: Sequence[Mapping[str, Any]], results: list[TemplateMessage]
    ) -> Iterator[TemplateMessage]:
        for number, call in enumerate(calls):
            yield self._shaped({**message, "content": message["content"] if number == 0 else ""}, [call])
            yield from (result for result in results if result.get("tool_call_id") == call.get("id"))

    def _shaped(self, message: TemplateMessage, calls: Sequence[Mapping[str, Any]]) -> TemplateMessage:
        content = None if self.content_as_none and not message["content"] else message["content"]
        return {**message, "content": content, "tool_calls": [self._call(call) for call in calls]}

    def _call(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.arguments_as_text:
            return call
        function = call["function"]
        text = json.dumps(function["arguments"], ensure_ascii=False)
        return {**call, "function": {**function, "arguments": text}}


def probe(render: Render) -> ToolFormat | None:
    """The shape in which a template shows tools, calls and results; None if there is none.

    `render` gives None where the template refuses the messages.
    """
    for arguments_as_text in (False, True):
        for content_as_none in (False, True):
            for one_call_each in (False, True):
                shape = ToolFormat(
                    arguments_as_text=arguments_as_text, content_as_none=content_as_none, one_call_each=one_call_each
                )
                if _shows_all(render(shape.adapt(_conversation(2)), [_TOOL])):
                    return shape
    return None


def _conversation(n_calls: int) -> list[TemplateMessage]:
    calls = [
        {
            "type": "function",
            "id": f"call{n:05d}",
            "function": {"name": "probe_tool", "arguments": {"probe_key": f"at {n}"}},
        }
        for n in range(n_calls)
    ]
    results = (
        {"role": "tool", "name": "probe_tool", "tool_call_id": call["id"], "content": f"found {n}"}
        for n, call in enumerate(calls)
    )
    return [QUESTION, {"role": "assistant", "content": "", "tool_calls": calls}, *results]


def _shows_all(text: str | None) -> bool:
    if text is None or not all(f"{word} {n}" in text for word in ("at", "found") for n in (0, 1)):
        return False
    # Python's way of writing an object, and JSON within JSON, are not what a model was trained on.
    wrong = ("'probe_key'", "'arguments'", '\\"probe_key')
    return "Probes deeply" in text and not any(word in text for word in wrong)
