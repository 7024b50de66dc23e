"""The saved segments as a tree: which chain of them a prompt starts with. Does no I/O and knows no files.

Segments that follow the same text are siblings; two of them may start alike, and one may be the start of another.
Tokens are packed (`segment.pack`), so that a comparison is one of bytes: a loop over tokens is a hundred times slower.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from agentgw_daemon.workers.protocol.kv_files.segment import ROOT, TOKEN_BYTES, SegmentHeader


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class RadixNode:
    """One segment in its place. `parent` is None at position 0, `gone` is set when it leaves the tree."""

    cache_scope: str
    header: SegmentHeader
    parent: RadixNode | None
    children: list[RadixNode] = dataclasses.field(default_factory=list)
    payload: bytes | None = None  # until it is written
    gone: bool = False

    def chain(self) -> list[RadixNode]:
        """The nodes from position 0 down to this one."""
        chain, node = [], self
        while True:
            chain.append(node)
            if node.parent is None:
                return chain[::-1]
            node = node.parent


class Prefixes:
    """The tree. Whoever shares it between threads holds a lock."""

    def __init__(self) -> None:
        self._top: Final[list[RadixNode]] = []
        self._by_digest: Final[dict[bytes, RadixNode]] = {}

    def get(self, digest: bytes) -> RadixNode | None:
        """The segment of this digest."""
        return self._by_digest.get(digest)

    def add(self, cache_scope: str, header: SegmentHeader, payload: bytes | None = None) -> RadixNode | None:
        """Put a segment after its parent. None, and nothing changes, if the parent is missing or the segment there."""
        parent = self._by_digest.get(header.parent)
        if header.digest in self._by_digest:
            return None
        if header.parent != ROOT and (parent is None or parent.header.end != header.start):
            return None
        node = RadixNode(cache_scope=cache_scope, header=header, parent=parent, payload=payload)
        (parent.children if parent else self._top).append(node)
        self._by_digest[header.digest] = node
        return node

    def drop(self, node: RadixNode) -> list[RadixNode]:
        """Take a segment out, and all that follow it, as they are of no use without it. Gives those taken out."""
        if node.gone:
            return []
        (node.parent.children if node.parent else self._top).remove(node)
        dropped = [node]
        for one in dropped:
            dropped += one.children
            one.gone = True
            one.payload = None
            del self._by_digest[one.header.digest]
        return dropped

    def ends(self, prompt: bytes) -> dict[int, RadixNode]:
        """The segments that lie in the prompt with all their tokens, by where they end: a new one may start there."""
        return {node.header.end: node for node in self._within(prompt)}

    def longest(self, prompt: bytes) -> tuple[list[RadixNode], int]:
        """The chain that has most of the prompt's start, and how many tokens; its last may have others behind them."""
        within = list(self._within(prompt))
        best = max(within, key=lambda node: node.header.end, default=None)
        length = best.header.end if best else 0
        for siblings in (self._top, *(node.children for node in within)):
            for node in siblings:
                tokens, start = node.header.tokens, node.header.start
                # Most have not even one token more than the best so far, which is quick to see.
                beyond = max(length - start, 0) * TOKEN_BYTES + TOKEN_BYTES
                if len(tokens) >= beyond and prompt.startswith(tokens[:beyond], start * TOKEN_BYTES):
                    best, length = node, start + _common(tokens, prompt, start)
        return (best.chain() if best else []), length

    def _within(self, prompt: bytes) -> Iterator[RadixNode]:
        waiting = list(self._top)
        while waiting:
            node = waiting.pop()
            if prompt.startswith(node.header.tokens, node.header.start * TOKEN_BYTES):
                yield node
                waiting += node.children


def _common(tokens: bytes, prompt: bytes, start: int) -> int:
    """The number of the packed tokens that the prompt has from position `start` on. By halves."""
    offset = start * TOKEN_BYTES
    low, high = 0, max(min(len(tokens), len(prompt) - offset) // TOKEN_BYTES, 0)
    while low < high:
        middle = (low + high + 1) // 2
        one, other = low * TOKEN_BYTES, middle * TOKEN_BYTES
        if tokens[one:other] == prompt[offset + one : offset + other]:
            low = middle
        else:
            high = middle - 1
    return low
