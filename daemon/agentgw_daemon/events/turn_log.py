"""Log of a running turn: numbered events that any number can watch, whatever they make of them.

The turn writes, watchers read at their own pace. The connection that started the turn is its owner: when the
owner lags too far behind, the turn stands still, and with it the model worker (nothing is dropped, nothing
piles up). Other watchers never hold the turn back; they read the log again later.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import trio

from agentgw.protocol.events import TurnEvent

# Events the owner may be behind. A token is some 150 bytes on the wire, so this is about 150 kB.
_OWNER_LAG: Final = 1024
# Waking a watcher, encoding and sending take tenths of a millisecond, of a core that may be decoding. More watchers
# than a few are therefore told less often, so that all together take the same share of it.
_FEW_WATCHERS: Final = 8
_PAUSE_S_PER_WATCHER: Final = 0.002
_MOST_PAUSE_S: Final = 0.5


class TurnBatch(list[TurnEvent]):
    """Consecutive events of a turn, one object for all who are told of them at the same time.

    It can be referred to weakly, so that what is made of it for one of them can be kept for the others.
    """

    __slots__ = ("__weakref__",)


class TurnLog:
    """The events of one turn. Exactly one task appends. `events`: what an earlier daemon sent."""

    def __init__(self, events: Sequence[TurnEvent] = ()) -> None:
        self.events = list(events)
        self._closed = False
        self._owner_seen = 0
        self._owned = False
        self._watchers = 0
        # Many watchers are told together, and up to an event that is the same for all: what is made of the events for
        # one of them then is for the others too. One of them keeps the time, as a deadline for each costs a third of
        # all that a watcher does.
        self._told_seq = 0
        self._time_is_kept = False
        self._time_is_up = trio.lowlevel.ParkingLot()
        self._batch = (0, TurnBatch(()))
        self._ended = trio.Event()
        self._changed = trio.lowlevel.ParkingLot()
        self._owner_moved = trio.lowlevel.ParkingLot()

    @property
    def last_seq(self) -> int:
        """Number of the newest event; they count from 1 without holes."""
        return len(self.events)

    async def append(self, *events: TurnEvent) -> None:
        """Add events, then wait while the owner is too far behind."""
        self.append_nowait(*events)
        while self._owned and self.last_seq - self._owner_seen > _OWNER_LAG:
            await self._owner_moved.park()

    def append_nowait(self, *events: TurnEvent) -> None:
        """Add events that do not wait, such as the last of a turn that ends, whoever is behind."""
        self.events.extend(events)
        self._changed.unpark_all()

    def close(self) -> None:
        """End the log; watchers finish once they have read all."""
        self._closed = True
        self._ended.set()
        self._changed.unpark_all()

    def own(self) -> None:
        """Bind the turn to the pace of its owner, who watches with `owner`."""
        self._owned = True

    def disown(self) -> None:
        """Free the turn: nobody holds it back."""
        self._owned = False
        self._owner_moved.unpark_all()

    async def wait_longer_than(self, count: int) -> None:
        """Returns when there are more than `count` events."""
        while self.last_seq <= count:
            await self._changed.park()

    async def watch(self, from_seq: int = 1, *, owner: bool = False) -> AsyncGenerator[tuple[int, TurnBatch], None]:
        """The events from `from_seq` on, as many as there are at once, until the turn has ended.

        Each batch comes with the number of its first event, and is bounded, so that one write never holds all of a
        long replay. What the owner has asked for the next batch after, it counts as having seen. Where there are many
        watchers, all but the owner get the newest events with a pause between.
        """
        seq = from_seq
        self._watchers += not owner
        try:
            while await self._has(seq):
                batch = self._batch_from(seq, self.last_seq if owner else self._told_from(seq))
                yield seq, batch
                seq += len(batch)
                if owner:
                    self._owner_seen = seq - 1
                    self._owner_moved.unpark_all()
                elif seq > self._told_seq:
                    await self._pause()
        finally:
            self._watchers -= not owner

    def _told_from(self, seq: int) -> int:
        """Number of the last event that a watcher is told of who wants those from `seq` on."""
        if self._watchers <= _FEW_WATCHERS or seq > self._told_seq:
            self._told_seq = self.last_seq
        return self._told_seq

    async def _pause(self) -> None:
        """Returns when a watcher may be told more: at once where they are few, or no more comes."""
        many = self._watchers - _FEW_WATCHERS
        if many <= 0:
            return
        if self._time_is_kept:
            await self._time_is_up.park()
            return
        self._time_is_kept = True
        try:
            with trio.move_on_after(min(many * _PAUSE_S_PER_WATCHER, _MOST_PAUSE_S)):
                await self._ended.wait()
        finally:
            # Also when this one leaves: then the others are told early, and the next of them keeps the time.
            self._time_is_kept = False
            self._time_is_up.unpark_all()

    async def next_events(self, seq: int) -> TurnBatch:
        """The events from `seq` on, as many as there are up to a bound, at least one; none once the turn has ended."""
        return self._batch_from(seq, self.last_seq) if await self._has(seq) else TurnBatch(())

    async def _has(self, seq: int) -> bool:
        """Waits for event `seq`. Tells whether it came before the turn ended."""
        while seq > self.last_seq:
            if self._closed:
                return False
            await self._changed.park()
        return True

    def _batch_from(self, seq: int, last: int) -> TurnBatch:
        """The events from `seq` to `last`, up to a bound."""
        begins, batch = self._batch
        last = min(last, seq - 1 + _OWNER_LAG)
        if begins != seq or len(batch) != last + 1 - seq:
            batch = TurnBatch(self.events[seq - 1 : last])
            self._batch = (seq, batch)
        return batch
