"""A whole session as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from textwrap import indent
from typing import Final

from agentgw.protocol.records.schema import dump
from agentgw.protocol.types import Message, Session, ToolCall

_CODE: Final = "    "


def to_markdown(session: Session, messages: Iterable[Message]) -> str:
    """Readable: a heading a message."""
    parts = [f"# {session.title}", f"Session {session.session_id}, skill {session.skill}, {session.created_at}"]
    for message in messages:
        cut = ", interrupted" if message.interrupted else ""
        calls = [_call(call) for call in message.tool_calls or ()]
        # An answer comes after the calls; a question without an answer before them.
        said = [*calls, message.content] if message.role == "assistant" else [message.content, *calls]
        parts += [f"## {message.role} ({message.created_at}{cut})", *said]
    return "\n\n".join(parts) + "\n"


def _call(call: ToolCall) -> str:
    """Arguments and result indented, which no content can end as it could a fence."""
    outcome = {True: "", False: ", failed", None: ", cut off"}[call.ok]
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    blocks = [f"Tool {call.tool}{outcome}:", indent(arguments, _CODE)]
    if call.content:
        # A line of spaces too: an empty one would end the block for some readers.
        blocks += ["Result:", indent(call.content.rstrip(), _CODE, lambda line: True)]
    return "\n\n".join(blocks)


def to_json(session: Session, messages: Iterable[Message]) -> str:
    """Complete: the records as on the wire."""
    value = {"session": dump(session), "messages": dump(tuple(messages))}
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
