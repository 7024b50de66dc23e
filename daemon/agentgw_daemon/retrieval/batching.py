"""Texts of many callers in few requests: what waits while a batch is computed makes the next one."""

from __future__ import annotations

import collections
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from agentgw.protocol.errors import RpcError
from agentgw_daemon.observability.supervision import internal_error, supervised
from agentgw_daemon.workers.protocol import retrieval as wire

# Some seconds of work: enough texts of like length to compute together, few enough for a progress bar to move.
BATCH_TEXTS: Final = 128
BATCH_BYTES: Final = 4 << 20

Compute = Callable[[wire.Embedder, str, tuple[str, ...], int], Awaitable[tuple[bytes, ...]]]
"""Gives a vector a text, which is read behind a prompt; it is told how many more texts wait."""


class _Order:
    """The texts of one caller, and what became of them."""

    def __init__(self, embedder: wire.Embedder, prompt: str, texts: Sequence[str]) -> None:
        self.embedder = embedder
        self.prompt = prompt
        self.texts = texts
        self.taken = 0
        self.vectors: list[bytes] = []
        self.error: RpcError | None = None
        self.done = trio.Event()


class Batcher:
    """Computes in the nursery it was handed, a batch at a time, callers in their order.

    A batch that fails fails every caller who has texts in it, each with an error of its own.
    """

    def __init__(self, nursery: trio.Nursery, compute: Compute) -> None:
        self._nursery = nursery
        self._compute = compute
        self._orders: collections.deque[_Order] = collections.deque()
        self._running = False

    async def embed(self, embedder: wire.Embedder, texts: Sequence[str], prompt: str = "") -> tuple[bytes, ...]:
        """A vector a text behind the prompt. Raises RpcError. Cancelled, what is not computed yet never is."""
        order = _Order(embedder, prompt, texts)
        if texts:
            self._orders.append(order)
            if not self._running:
                self._running = True
                self._nursery.start_soon(supervised, "embedding", self._run)
            try:
                await order.done.wait()
            finally:
                if order in self._orders:
                    self._orders.remove(order)
        if order.error is not None:
            raise type(order.error)(order.error.message, hint=order.error.hint, **order.error.data)
        return tuple(order.vectors)

    async def _run(self) -> None:
        try:
            while self._orders:
                await self._run_batch()
        finally:
            self._running = False

    async def _run_batch(self) -> None:
        shares, texts = self._next_batch()
        try:
            waiting = sum(len(order.texts) - order.taken for order in self._orders)
            vectors = await self._compute(shares[0][0].embedder, shares[0][0].prompt, texts, waiting)
        except Exception as raised:  # noqa: BLE001 - supervision point: these callers hear of it, others go on
            error = raised if isinstance(raised, RpcError) else internal_error(raised, "embedding")
            for order, _ in shares:
                order.error = error
                self._end(order)
            return
        at = 0
        for order, count in shares:
            order.vectors += vectors[at : at + count]
            at += count
            if len(order.vectors) == len(order.texts):
                self._end(order)

    def _next_batch(self) -> tuple[list[tuple[_Order, int]], tuple[str, ...]]:
        """The callers that the next batch is for, with how many texts each; of one embedder and prompt."""
        shares: list[tuple[_Order, int]] = []
        texts: list[str] = []
        size = 0
        for order in self._orders:
            first = self._orders[0]
            if (order.embedder, order.prompt) != (first.embedder, first.prompt):
                break
            start = order.taken
            while order.taken < len(order.texts) and len(texts) < BATCH_TEXTS:
                size += len(order.texts[order.taken])
                if texts and size > BATCH_BYTES:
                    break
                texts.append(order.texts[order.taken])
                order.taken += 1
            if order.taken > start:
                shares.append((order, order.taken - start))
            if order.taken < len(order.texts):
                break
        return shares, tuple(texts)

    def _end(self, order: _Order) -> None:
        if order in self._orders:
            self._orders.remove(order)
        order.done.set()
