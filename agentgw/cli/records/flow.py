"""The loop of `map`: records in, several questions at once on one connection, answers out in the order of the records.

One thread waits for standard input, standard output and the daemon together. What it holds is bounded: at most
`_WINDOW` records a question in flight between the oldest without an answer and the newest, and what standard output has
not taken. A reader who is slow therefore holds back the questions and not the daemon's replies; one who leaves ends it.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque

from agentgw.cli import output
from agentgw.cli.output import OutputLost
from agentgw.client import ConnectionLost
from agentgw.protocol.errors import (
    AgentgwError,
    ContextOverflow,
    InvalidParams,
    MethodNotFound,
    ModelUnavailable,
    NotFound,
    Overloaded,
    SessionBusy,
    ShuttingDown,
    UsageError,
    WorkerDied,
    from_wire,
)
from agentgw.transport.connection import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Final, Protocol

    from agentgw.cli.records.formats import InputRecord
    from agentgw.cli.records.journal import AnswerJournal
    from agentgw.cli.terminal.progress import RecordMeter
    from agentgw.client import Client
    from agentgw.transport.connection import Notification

    class RecordFormat(Protocol):
        """A form of records and answers; see `formats`."""

        def feed(self, data: bytes) -> Iterator[InputRecord]:
            """The records that the data completes."""

        def finish(self) -> Iterator[InputRecord]:
            """The last record, where the input does not end with its end."""

        def show(self, record: InputRecord, answer: str | None) -> str:
            """The output for a record, its end included; an answer of None is a failure."""


_READ_BYTES: Final = 1 << 16
# Records for each question in flight: one slow answer does not stop the others soon.
_WINDOW: Final = 8
# Requests of one connection that the daemon answers at once, by default.
MOST_AT_ONCE: Final = 32
# Bytes that a pipe takes without waiting once it says that it takes anything. PIPE_BUF on Linux.
_WRITE_BYTES: Final = 4096
_MOST_UNSENT_BYTES: Final = 1 << 16
# The journal's pace, and the pace in which a daemon that is too busy is asked again.
_TICK_MS: Final = 1000
# A question that ended with the daemon, or its worker, is put again: the second time it may be its own fault.
_TRIES: Final = 2
# The seconds that a daemon may be too busy for any question at all.
_PATIENCE_S: Final = 120.0
# Losses of the connection with no answer between them, after which the daemon is given up.
_LOSSES: Final = 3
# What is wrong with every record alike ends all of it, and not where one message is refused or got no answer.
_ALL: Final = (ModelUnavailable, NotFound, InvalidParams, MethodNotFound)
_AGAIN: Final = (WorkerDied,)
_MOST_NOTICES: Final = 100


class Counts:
    """The records so far."""

    __slots__ = ("answered", "cut", "denied", "failed", "kept", "records")

    def __init__(self) -> None:
        self.records = 0
        self.answered = 0
        #: Answers that the journal had.
        self.kept = 0
        self.failed = 0
        self.denied = 0
        #: Answers that reached their most tokens.
        self.cut = 0


class _Slot:
    """A record's place in the output, and its line once there is one."""

    __slots__ = ("line", "record")

    def __init__(self, record: InputRecord) -> None:
        self.record = record
        self.line: str | None = None


class Flow:
    """One run of `map`. `ask` are the parameters of each question but the message.

    `once`: a question is not put a second time when it may have had an effect before its daemon or worker ended.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        ask: Mapping[str, Any],
        records: RecordFormat,
        *,
        at_once: int,
        meter: RecordMeter,
        journal: AnswerJournal | None = None,
        once: bool = False,
    ) -> None:
        if sys.stdout is None:
            raise OutputLost("standard output is closed")
        self.counts: Final = Counts()
        self._connect = connect
        self._client = connect()
        self._ask = ask
        self._records = records
        self._at_once = at_once
        # Questions beyond those, which wait for a slot in the model's worker: it fills one at once when it is free.
        self._ahead = 0
        self._model: object = None
        self._status_id: object = None
        self._meter = meter
        self._journal = journal
        self._tries = 1 if once else _TRIES
        self._ready: Iterator[InputRecord] = iter(())
        self._input_ended = sys.stdin is None
        self._places: deque[_Slot] = deque()
        self._again: deque[_Slot] = deque()
        self._in_flight: dict[object, _Slot] = {}
        self._denied_turns: set[str] = set()
        self._notices: set[str] = set()
        self._unsent = bytearray()
        self._lost = 0
        # The time since which the daemon has been too busy for any question.
        self._refused_since: float | None = None
        self._may_ask_at = 0.0

    def close(self) -> None:
        """Leaves the daemon, which cancels what is in flight."""
        self._client.close()

    def run(self) -> None:
        """Goes on until all records have their line. Raises BrokenPipeError, OutputLost and what ends it otherwise."""
        while True:
            try:
                self._put_questions()
                if self._is_over():
                    return
                self._wait()
            except (ConnectionLost, ShuttingDown) as error:
                self._reconnect(error)

    def _is_over(self) -> bool:
        return self._input_ended and not self._places and not self._unsent

    def _wants_records(self) -> bool:
        return (
            len(self._in_flight) < self._at_once + self._ahead
            and not self._again
            and len(self._places) < self._at_once * _WINDOW
            and len(self._unsent) < _MOST_UNSENT_BYTES
        )

    def _put_questions(self) -> None:
        while self._again and len(self._in_flight) < self._at_once and time.monotonic() >= self._may_ask_at:
            self._put(self._again.popleft())
        while self._wants_records() and (record := next(self._ready, None)) is not None:
            slot = _Slot(record)
            self._places.append(slot)
            self.counts.records += bool(record.number)
            if record.fault:
                self._fail(slot, record.fault)
            elif record.passed:
                self._settle(slot, self._records.show(record, ""))
            elif (answer := self._kept(record)) is not None:
                self.counts.kept += 1
                self._settle(slot, self._records.show(record, answer))
            else:
                self._put(slot)

    def _kept(self, record: InputRecord) -> str | None:
        return self._journal.answer_to(record.number, record.question) if self._journal is not None else None

    def _put(self, slot: _Slot) -> None:
        try:
            number = self._client.send("turn.start", message=slot.record.question, **self._ask)
        except ContextOverflow as error:
            self._fail(slot, error.message)
        else:
            self._in_flight[number] = slot

    def _wait(self) -> None:
        """Waits for anything that lets it go on, and does that."""
        if self._client.has_pending:
            self._hear()
            return
        wants_input = self._wants_records() and not self._input_ended
        poll = select.poll()
        poll.register(1, select.POLLOUT if self._unsent else 0)
        if self._in_flight:
            poll.register(self._client.fileno(), select.POLLIN)
        if wants_input:
            poll.register(0, select.POLLIN)
        ticks = self._again or self._journal is not None
        events = dict(poll.poll(_TICK_MS if ticks else None))
        self._write(events.get(1, 0))
        if wants_input and events.get(0, 0):
            self._read()
        if self._in_flight and events.get(self._client.fileno(), 0):
            self._client.wait_pending()
            self._hear()
        if self._journal is not None:
            self._journal.sync_when_due()

    def _read(self) -> None:
        try:
            data = os.read(0, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise UsageError(
                f"standard input cannot be read: {error.strerror}", hint="give it a file or a pipe"
            ) from None
        self._input_ended = not data
        self._ready = self._records.feed(data) if data else self._records.finish()

    def _write(self, event: int) -> None:
        """Writes what standard output takes without waiting. Raises BrokenPipeError and OutputLost."""
        if event & select.POLLNVAL:
            raise OutputLost("standard output is closed")
        if event & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError
        if not event & select.POLLOUT:
            return
        self._meter.make_room()
        try:
            written = os.write(1, self._unsent[:_WRITE_BYTES])
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputLost(f"standard output cannot be written: {error.strerror}") from None
        del self._unsent[:written]

    def _hear(self) -> None:
        while self._client.has_pending:
            message = self._client.next_message()
            if isinstance(message, Response):
                self._take(message)
            else:
                self._note(message)

    def _note(self, notification: Notification) -> None:
        params = notification.params
        if notification.method == "turn.started":
            self._model = params.get("model")
        elif notification.method == "turn.tool_result" and params.get("denied"):
            self._denied_turns.add(str(params.get("turn_id")))
        elif notification.method == "turn.progress" and not self.counts.answered:
            self._meter.wait(str(params.get("phase")), params.get("done", 0), params.get("total", 0))
        elif notification.method == "turn.notice":
            text = str(params.get("text", ""))
            # What is true of all records is said once.
            if text not in self._notices and len(self._notices) < _MOST_NOTICES:
                self._notices.add(text)
                self._meter.erase()
                output.notice(text)

    def _take(self, reply: Response) -> None:
        if reply.id == self._status_id:
            self._look_ahead(reply.result if reply.error is None else {})
            return
        slot = self._in_flight.pop(reply.id, None)
        if slot is None:
            if reply.error is not None:
                raise from_wire(reply.error)
            return
        if reply.error is None:
            self._take_result(slot, reply.result)
            return
        error = from_wire(reply.error)
        if isinstance(error, ShuttingDown):
            self._again.append(slot)
            raise error
        if isinstance(error, Overloaded | SessionBusy):
            self._put_later(slot, error)
        elif isinstance(error, _ALL) and not (error.data.get("no_answer") or error.data.get("path") == "message"):
            raise error
        elif isinstance(error, _AGAIN):
            self._put_again(slot, error.message)
        else:
            self._fail(slot, error.message)

    def _take_result(self, slot: _Slot, result: Mapping[str, Any]) -> None:
        self._lost, self._refused_since = 0, None
        # A record's time is counted from when it is asked.
        if self._status_id is None and self._at_once < MOST_AT_ONCE and self._ask.get("timeout_s") is None:
            self._status_id = self._client.send("daemon.status")
        reason, turn_id = result.get("finish_reason"), str(result.get("turn_id"))
        denied = turn_id in self._denied_turns
        self._denied_turns.discard(turn_id)
        if reason == "cancelled":
            # A daemon that stops says so of the next question; else somebody cancelled this one, and does so again.
            self._put_again(slot, "the turn was cancelled")
            return
        if reason == "iteration_limit":
            self._fail(slot, "reached the limit of steps before there was an answer")
            return
        self.counts.cut += reason == "length"
        self.counts.answered += 1
        text = str(result.get("text", ""))
        record = slot.record
        if denied:
            self.counts.denied += 1
            self._tell(record, "a tool was denied, and the answer came about without it")
        if self._journal is not None:
            self._journal.keep(record.number, record.question, text)
        self._settle(slot, self._records.show(record, text), asked=True)

    def _look_ahead(self, status: Mapping[str, Any]) -> None:
        """Ask before a slot is free, where all of a local model's slots are asked for.

        As many compute at once as before. With fewer at once than it has slots, more in flight would be more at once.
        """
        for worker in status.get("workers", ()):
            slots = worker.get("slots", 0)
            if worker.get("kind") == "model" and worker.get("model") == self._model and 0 < slots <= self._at_once:
                self._ahead = max(0, min(slots, MOST_AT_ONCE - self._at_once))

    def _put_again(self, slot: _Slot, reason: str) -> None:
        slot.record.tries += 1
        if slot.record.tries < self._tries:
            self._again.append(slot)
        else:
            self._fail(slot, reason)

    def _put_later(self, slot: _Slot, error: AgentgwError) -> None:
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since > _PATIENCE_S:
            raise error
        # As many as are in flight is what the daemon has room for; each answer lets another one in.
        self._may_ask_at = 0.0 if self._in_flight else now + _TICK_MS / 1000
        self._ahead = 0
        self._at_once = max(1, len(self._in_flight))
        self._again.append(slot)

    def _reconnect(self, error: AgentgwError) -> None:
        """Finds or starts a daemon for the questions that went with the last one. Raises the error in the end."""
        self._lost += 1
        if self._lost >= _LOSSES:
            raise error
        self._client.close()
        self._ahead, self._status_id = 0, None
        left = sorted(self._in_flight.values(), key=lambda slot: slot.record.number)
        self._in_flight.clear()
        self._denied_turns.clear()
        for slot in left:
            if self._tries == 1:
                self._fail(slot, f"{error.message}; it is not asked again, for its tools may have done something")
            else:
                self._again.append(slot)
        self._meter.erase()
        output.notice("the daemon ended; going on with the next one")
        self._client = self._connect()

    def _fail(self, slot: _Slot, reason: str) -> None:
        self.counts.failed += 1
        self._tell(slot.record, reason)
        self._settle(slot, self._records.show(slot.record, None))

    def _tell(self, record: InputRecord, text: str) -> None:
        self._meter.erase()
        output.complaint(f"record {record.number}: {text}")

    def _settle(self, slot: _Slot, line: str, *, asked: bool = False) -> None:
        slot.line = line
        to_terminal = output.is_terminal(sys.stdout)
        while self._places and (head := self._places[0]).line is not None:
            self._places.popleft()
            text = output.visible(head.line) if to_terminal else head.line
            self._unsent += text.encode("utf-8", "replace")
        self._meter.update(slot.record.size, failed=self.counts.failed, asked=asked)
