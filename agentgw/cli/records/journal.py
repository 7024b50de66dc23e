"""The file of `--resume`: which records were answered, and how, so that no record is asked about twice.

A line of JSON for the question's own terms, then one for each answer, in the order in which they came. Each line is
written at once, so that it outlives a kill; it is on the disk (fsync) a second later at most and at the end, so that a
loss of power costs the answers of a second, which are then asked for again. A line that a kill cut off is taken away.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from array import array
from contextlib import suppress

from agentgw.protocol.errors import AlreadyRunning, LocalError, UsageError
from agentgw.transport.framing import read_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, Self

_KIND: Final = "agentgw map"
_SYNC_S: Final = 1.0
_NONE: Final = -1
# A number beyond it is damage: the index has 8 bytes for each.
_MOST_RECORDS: Final = 1 << 30


class JournalLost(LocalError):
    """The file cannot be written."""

    remedy = "what it holds is not lost: the same `agentgw map` goes on with it"


class AnswerJournal:
    """Answers by the number of their record. A context manager; one process at a time has the file."""

    def __init__(self, path: str, terms: Mapping[str, Any]) -> None:
        """Opens or makes the file. Raises UsageError for a file of something else, AlreadyRunning for one in use."""
        self._path = path
        self._begin = _line({"kind": _KIND, "terms": _digest(json.dumps(terms, sort_keys=True))})
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be opened: {getattr(error, 'strerror', error)}") from None
        self._index = array("q")
        self._end = 0
        self._synced_at = time.monotonic()
        self._unsynced = False
        try:
            self._take()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._sync()
        finally:
            os.close(self._file)

    def answer_to(self, number: int, question: str) -> str | None:
        """The answer that there is to this question about this record."""
        if number >= len(self._index) or (at := self._index[number]) == _NONE:
            return None
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(at)
            entry = json.loads(file.readline())
        return str(entry["answer"]) if entry["question"] == _digest(question) else None

    def keep(self, number: int, question: str, answer: str) -> None:
        """Writes an answer. Raises JournalLost."""
        self._write(_line({"n": number, "question": _digest(question), "answer": answer}))
        self.sync_when_due()

    def sync_when_due(self) -> None:
        """Brings what was written to the disk, a second after the last time. Raises JournalLost."""
        if self._unsynced and time.monotonic() >= self._synced_at + _SYNC_S:
            self._sync()

    def _sync(self) -> None:
        self._synced_at = time.monotonic()
        if not self._unsynced:
            return
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._lost(error) from None
        self._unsynced = False

    def _write(self, data: bytes) -> None:
        try:
            while data:
                written = os.pwrite(self._file, data, self._end)
                self._end += written
                data = data[written:]
        except OSError as error:
            raise self._lost(error) from None
        self._unsynced = True

    def _lost(self, error: OSError) -> JournalLost:
        return JournalLost(f"{self._path} cannot be written: {error.strerror}")

    def _take(self) -> None:
        """Takes the file for this process, and what it holds."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"another map uses {self._path}", hint="wait for it, or name another file") from None
        own = os.fstat(self._file)
        if own.st_mode & 0o170000 != 0o100000:  # S_IFREG
            raise UsageError(f"{self._path} is no file", hint="name a file that --resume may make")
        for descriptor, stream in enumerate(("input", "output", "error")):
            # Records would be answers, or answers written over each other.
            with suppress(OSError):
                if os.path.samestat(own, os.fstat(descriptor)):
                    raise UsageError(
                        f"{self._path} is standard {stream} already", hint="name a file of its own for --resume"
                    )
        with os.fdopen(os.dup(self._file), "rb") as file:
            begin = file.readline(1 << 16)
            if not begin.endswith(b"\n"):
                # Empty, or a kill came in the middle of the first line.
                if not self._begin.startswith(begin):
                    raise self._foreign()
                os.ftruncate(self._file, 0)
                self._write(self._begin)
                return
            self._check(begin)
            self._end = len(begin)
            for number, line in enumerate(file, 2):
                if not line.endswith(b"\n"):
                    break
                self._note(line, number)
        os.ftruncate(self._file, self._end)

    def _check(self, begin: bytes) -> None:
        try:
            found = read_value(begin.decode())
        except ValueError:
            raise self._foreign() from None
        if not isinstance(found, dict) or found.get("kind") != _KIND:
            raise self._foreign()
        if begin != self._begin:
            raise UsageError(
                f"{self._path} is of another map: the template, the model, the form or an option was not the same",
                hint="give this one a file of its own, or remove that one",
            )

    def _note(self, line: bytes, line_number: int) -> None:
        try:
            # Its depth is bounded as on the wire: a damaged line is to be named and not to end all of it.
            entry = read_value(line.decode())
            number, _ = entry["n"], (entry["question"], entry["answer"])
            if not isinstance(number, int) or not 0 <= number < _MOST_RECORDS:
                raise ValueError
        except (ValueError, TypeError, KeyError):
            raise UsageError(f"{self._path} is damaged: line {line_number}", hint="remove that line") from None
        if (more := number + 1 - len(self._index)) > 0:
            self._index.extend([_NONE] * more)
        self._index[number] = self._end
        self._end += len(line)

    def _foreign(self) -> UsageError:
        return UsageError(f"{self._path} is no file of --resume", hint="name one that is not there yet")


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _digest(text: str) -> str:
    # Long enough that no two questions have the same by chance.
    return hashlib.sha256(text.encode()).hexdigest()[:32]
