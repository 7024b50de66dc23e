"""A conversation that the client keeps: `chat.*`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol import types as t
from agentgw.protocol.calls.shared import AnswerSchema, ModelRef
from agentgw.protocol.records.schema import Limit, record


@record
class ChatParams:
    """A stateless completion in the OpenAI shape."""

    messages: Annotated[tuple[t.ChatMessage, ...], "the whole conversation", Limit(min_length=1, max_length=1000)]
    model: ModelRef | None = None
    options: t.Options | None = None
    schema: AnswerSchema = None


@record
class ChatResult:
    """The assistant's message."""

    message: t.ChatMessage
    finish_reason: t.FinishReason
    usage: t.Usage
    model: str
