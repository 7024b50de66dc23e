"""Models that write no calls of their own: only reasoning is told from the answer."""

from __future__ import annotations

from agentgw_daemon.tool_calling.answers.reading import read_answer
from agentgw_daemon.tool_calling.answers.stream import Reading, TextCursor


def read_plain(stream: TextCursor, *, thinks_first: str | None = None) -> Reading[None]:
    """An answer with nothing but text and reasoning."""
    yield from read_answer(stream, {}, thinks_first=thinks_first)
