"""`chat.complete`: a conversation that the client keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.calls.chat import ChatParams, ChatResult
from agentgw.protocol.events import ChatDelta
from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference.engine import Finished, TextDelta
from agentgw_daemon.inference.hearing import hear, nothing_said
from agentgw_daemon.inference.structured_output import structured
from agentgw_daemon.prompts.assembly import generation_request
from agentgw_daemon.tool_calling.answers.events import Malformed, ModelToolCall

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def complete(request: RequestContext, params: ChatParams) -> ChatResult:
    """Complete and stream; nothing is stored."""
    services = request.services
    services.check_serving()
    if params.schema is not None:
        await structured.check(params.schema)
    spec = await services.models.resolve_to_answer(params.model)
    engine = await services.pool.engine(spec)
    options = params.options or Options()
    messages = params.messages
    if params.schema is not None:
        messages = structured.instructed_messages(messages, params.schema)
    completion = generation_request(options, messages=messages, schema=params.schema)
    texts: list[str] = []
    finished: Finished | None = None
    called = False
    async with hear(engine, completion) as events:
        async for event in events:
            if isinstance(event, Finished):
                finished = event
            elif isinstance(event, ModelToolCall | Malformed):
                called = True
            elif isinstance(event, TextDelta):
                if event.channel == "answer":
                    texts.extend(event.texts)
                for text in event.texts:
                    await request.events.notify(ChatDelta(text=text, channel=event.channel))
    assert finished is not None, "an engine's stream ends with Finished"
    text = "".join(texts)
    if not text.strip():
        raise nothing_said(finished, called=called)
    if params.schema is not None:
        await structured.verify(text, finished.finish_reason, params.schema)
    return ChatResult(
        message=ChatMessage(role="assistant", content=text), finish_reason=finished.finish_reason,
        usage=finished.usage, model=spec.name,
    )  # fmt: skip


HANDLERS: dict[str, Handler] = {"chat.complete": complete}
