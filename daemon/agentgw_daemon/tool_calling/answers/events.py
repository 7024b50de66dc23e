"""Parts of a model's text. Joining all `AnswerText` in order gives the answer; no marker is ever in it."""

from __future__ import annotations

from typing import Final

from agentgw.protocol.records.schema import record

# Of a call that is none or was cut, enough for the model to know it again.
MAX_SHOWN_CHARACTERS: Final = 2_000


@record
class AnswerText:
    """A piece of the answer."""

    text: str


@record
class Reasoning:
    """A piece of what the model thinks before it answers."""

    text: str


@record
class ModelToolCall:
    """A call the model makes. `arguments` is JSON text of an object; whether it fits the tool is not checked here."""

    name: str
    arguments: str


@record
class Malformed:
    """Text that began as a call and is none. `reason` is written for the model, which may try again."""

    text: str
    reason: str


ParseEvent = AnswerText | Reasoning | ModelToolCall | Malformed
