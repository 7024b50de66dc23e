"""A whole session as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from agentgw.schema import dump
from agentgw.types import Message, Session


def to_markdown(session: Session, messages: Iterable[Message]) -> str:
    """Readable: a heading a message."""
    parts = [f"# {session.title}", f"Session {session.session_id}, skill {session.skill}, {session.created_at}"]
    for message in messages:
        cut = ", interrupted" if message.interrupted else ""
        parts += [f"## {message.role} ({message.created_at}{cut})", message.content]
    return "\n\n".join(parts) + "\n"


def to_json(session: Session, messages: Iterable[Message]) -> str:
    """Complete: the records as on the wire."""
    value = {"session": dump(session), "messages": dump(tuple(messages))}
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
