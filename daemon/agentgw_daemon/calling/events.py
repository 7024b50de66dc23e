"""What a model's text turns out to be. Joining all `Text` in order gives the answer; no marker is ever in it."""

from __future__ import annotations

from agentgw.schema import record


@record
class Text:
    """A piece of the answer."""

    text: str


@record
class Reasoning:
    """A piece of what the model thinks before it answers."""

    text: str


@record
class Call:
    """A call the model makes. `arguments` is JSON text of an object; whether it fits the tool is not checked here."""

    name: str
    arguments: str


@record
class Malformed:
    """Something that began as a call and is none. `reason` is written for the model, which may try again."""

    text: str
    reason: str


Event = Text | Reasoning | Call | Malformed
