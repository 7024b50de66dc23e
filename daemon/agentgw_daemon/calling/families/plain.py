"""Models that write no calls of their own: only reasoning is told from the answer."""

from __future__ import annotations

from agentgw_daemon.calling.reading import read_answer
from agentgw_daemon.calling.stream import Reading, Stream


def read_plain(stream: Stream, *, thinks_first: str | None = None) -> Reading[None]:
    """An answer with nothing but text and reasoning."""
    yield from read_answer(stream, {}, thinks_first=thinks_first)
