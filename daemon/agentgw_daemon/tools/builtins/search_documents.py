"""`search_documents`: pieces of the documents that the user has taken in, found by meaning and by words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import trio

from agentgw.protocol.errors import RpcError
from agentgw.protocol.types import Chunk
from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.tool import Arguments, CallPreview, ToolContext, ToolResult, ToolSpec, bounded

NAME: Final = "search_documents"
_MOST_CHUNKS: Final = 20
_SPEC: Final = ToolSpec(
    name=NAME,
    description="Search the user's own documents and notes by meaning.",
    parameters={
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "maxLength": 1000},
            "k": {"type": "integer", "minimum": 1, "maximum": _MOST_CHUNKS},
        },
        "required": ["query"],
        "additionalProperties": False,
    },
    effect="none",
    untrusted=True,
)


class Find(Protocol):
    """Searches the documents that may be seen."""

    async def __call__(self, query: str, k: int | None) -> Sequence[Chunk]:
        """The best pieces, the best first. Raises RpcError."""


Cite = Callable[[Sequence[Chunk]], Awaitable[tuple[int, ...]]]
"""Puts pieces on the list of an answer's sources; gives their numbers there."""


async def _count(chunks: Sequence[Chunk]) -> tuple[int, ...]:
    await trio.lowlevel.checkpoint()
    return tuple(range(1, len(chunks) + 1))


class SearchDocuments:
    """The tool over one view of the documents; see `tools.tool.RunnableTool`. Without `cite` it counts from 1."""

    def __init__(self, find: Find, cite: Cite = _count) -> None:
        self.spec: Final = _SPEC
        self._find: Final = find
        self._cite: Final = cite

    async def describe_call(self, arguments: Arguments, context: ToolContext) -> CallPreview:
        """See RunnableTool."""
        del context
        await trio.lowlevel.checkpoint()
        return CallPreview(title=visible_line(f"Search the documents for: {arguments['query']}"))

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """See RunnableTool."""
        del context
        try:
            chunks = await self._find(arguments["query"], arguments.get("k"))
        except RpcError as error:
            return ToolResult(
                ok=False, content=bounded(f"{error.message}. {error.hint}" if error.hint else error.message)
            )
        if not chunks:
            return ToolResult(ok=True, content="nothing was found in the documents")
        numbers = await self._cite(chunks)
        text = "\n\n".join(quoted(chunk, number) for chunk, number in zip(chunks, numbers, strict=True))
        return ToolResult(ok=True, content=bounded(text), untrusted=True)


def quoted(chunk: Chunk, number: int) -> str:
    """A piece of a document as a tool gives it, with the place where more of it can be read."""
    where = [chunk.source, "lines {}-{}".format(*chunk.lines), chunk.title_path]
    return f"[{number}] {visible_line(', '.join(filter(None, where)))}\n{chunk.text.strip()}"
