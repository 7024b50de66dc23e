"""Frames that wait to be written to one connection, bounded, and the only place that writes to it.

A frame goes out at once when nothing is before it and the kernel has room: a reply then costs no change of
tasks. What is left over is queued for the writing task. Order is kept, because nothing is sent past a queue
that is not empty. A connection whose reader stands still for too long is given up, because after a cancelled
write nobody knows what arrived.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Final

import trio

from agentgw_daemon.events.delivery import ReaderGone

# One send: large enough to amortise the call, small enough that a stalled reader is noticed early.
_CHUNK_BYTES: Final = 64 << 10
# A stream stands still long before the limit: its source keeps what it has not sent, so frames queued beyond what
# keeps the kernel busy are memory spent twice.
_STREAM_BYTES: Final = 4 * _CHUNK_BYTES


class Outbox:
    """Frames on their way to one reader.

    `put` waits while more than `limit_bytes` are queued, or less where that is enough for a stream: full means that
    the producer stands still, not that something is lost.
    """

    def __init__(self, socket: trio.socket.SocketType, *, limit_bytes: int, stall_s: float) -> None:
        self._socket = socket
        # For sends that do not wait: trio's sockets are non-blocking. Not used once `_broken`, so never after a close.
        self._fd = socket.fileno()
        self._limit_bytes = limit_bytes
        self._stall_s = stall_s
        self._frames: deque[bytes] = deque()
        self._queued_bytes = 0
        self._writing = False
        self._broken = False
        self._stopping = trio.CancelScope()
        self._changed = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()

    @property
    def queued_bytes(self) -> int:
        """Bytes not yet handed to the kernel."""
        return self._queued_bytes

    def put_nowait(self, frame: bytes) -> None:
        """Queue a frame whatever the limit says: for replies, which are at most one a request in flight."""
        if self._broken:
            raise ReaderGone
        if not self._frames and not self._writing:
            frame = frame[self._send_now(frame) :]
            if not frame:
                return
        self._frames.append(frame)
        self._queued_bytes += len(frame)
        self._changed.unpark_all()

    def _send_now(self, frame: bytes) -> int:
        """Bytes that the kernel took without waiting."""
        try:
            return os.write(self._fd, frame)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ReaderGone from error

    async def put(self, frame: bytes) -> None:
        """Queue a frame once there is room. Raises ReaderGone."""
        while self._queued_bytes > min(self._limit_bytes, _STREAM_BYTES) and not self._broken:
            await self._room.park()
        self.put_nowait(frame)

    def offer(self, frame: bytes) -> None:
        """Queue a frame for a reader that keeps up; one that does not is given up rather than told half."""
        try:
            if self._queued_bytes <= self._limit_bytes:
                self.put_nowait(frame)
                return
        except ReaderGone:
            pass
        self._give_up()

    async def wait_empty(self) -> None:
        """Returns when all that was queued is with the kernel, or the reader is gone."""
        while (self._frames or self._writing) and not self._broken:
            await self._room.park()

    async def run(self) -> None:
        """Write until cancelled. Raises ReaderGone when the reader is."""
        try:
            with self._stopping:
                await self._write_all()
            raise ReaderGone
        finally:
            self._broken = True
            self._room.unpark_all()

    async def _write_all(self) -> None:
        while True:
            while not self._frames:
                await self._changed.park()
            self._writing = True
            await self._write(memoryview(self._next_chunk()))
            self._writing = False
            self._room.unpark_all()

    def _give_up(self) -> None:
        self._broken = True
        self._stopping.cancel()

    def _next_chunk(self) -> bytes:
        frames = self._frames
        size, count = 0, 0
        for frame in frames:
            size += len(frame)
            count += 1
            if size >= _CHUNK_BYTES:
                break
        if count == 1:
            return frames.popleft()
        return b"".join([frames.popleft() for _ in range(count)])

    async def _write(self, view: memoryview) -> None:
        while view:
            with trio.move_on_after(self._stall_s) as patience:
                try:
                    sent = await self._socket.send(view)
                except OSError as error:
                    raise ReaderGone from error
            if patience.cancelled_caught:
                raise ReaderGone
            view = view[sent:]
            self._queued_bytes -= sent
            self._room.unpark_all()
