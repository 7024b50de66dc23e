"""Forms of records and answers: lines, texts between NULs, JSON lines, CSV. Bytes in, values out, no I/O.

Input is never held whole: what is kept is a piece that was just read and a record that has not ended yet. A record that
is larger than a message may be is passed over to its end and fails. Numbers count from 1.
"""

from __future__ import annotations

import json

from agentgw.cli.records.template import MissingField
from agentgw.protocol.errors import UsageError
from agentgw.transport.framing import MAX_MESSAGE_BYTES, read_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from agentgw.cli.records.template import Template

_BOM: Final = b"\xef\xbb\xbf"
_TOO_LONG: Final = f"has more than the {MAX_MESSAGE_BYTES} bytes a message may have"
# The member of a line of output that holds a record which is no object.
_RECORD: Final = "record"


class InputRecord:
    """One record: the question about it, or why there is none.

    `shown` is what the line of output begins with, or all of it where it is `whole`: there is no place for an answer.
    A record that is `passed` is shown as it is and nobody is asked.
    """

    __slots__ = ("fault", "number", "passed", "question", "shown", "size", "tries", "whole")

    def __init__(
        self,
        number: int,
        size: int,
        *,
        question: str = "",
        fault: str = "",
        passed: bool = False,
        shown: Any = None,
        whole: bool = False,
    ) -> None:
        self.number = number
        #: Bytes of it in the input.
        self.size = size
        self.question = question
        self.fault = fault
        self.passed = passed
        self.shown = shown
        self.whole = whole
        self.tries = 0


class _Cutter:
    """Cuts bytes at `end`; a piece of more than `most_bytes` comes as None."""

    def __init__(self, end: bytes, most_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._end = end
        self._most_bytes = most_bytes
        self._rest = b""
        self._over = False
        self._first = True

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The pieces that the data completes."""
        pieces = data.split(self._end)
        pieces[0] = self._rest + pieces[0]
        self._rest = pieces.pop()
        for piece in pieces:
            yield self._whole(piece)
        if len(self._rest) > self._most_bytes:
            self._rest, self._over = b"", True

    def finish(self) -> Iterator[bytes | None]:
        """The last piece, where the input does not end with an end."""
        if self._rest or self._over:
            yield self._whole(self._rest)
        self._rest = b""

    def _whole(self, piece: bytes) -> bytes | None:
        over, self._over = self._over or len(piece) > self._most_bytes, False
        first, self._first = self._first, False
        if over:
            return None
        return piece.removeprefix(_BOM) if first else piece


class Lines:
    """A record a line, or with `end` NUL a text before each NUL. An empty one is passed on as it is.

    An answer is one line: its line ends become blanks. Between NULs it stays as it is.
    """

    def __init__(self, template: Template, end: bytes = b"\n") -> None:
        self._template = template
        self._cutter = _Cutter(end)
        self._end = end.decode()
        self._number = 0

    def feed(self, data: bytes) -> Iterator[InputRecord]:
        """The records that the data completes."""
        return map(self._record, self._cutter.feed(data))

    def finish(self) -> Iterator[InputRecord]:
        """The last record, where the input does not end with its end."""
        return map(self._record, self._cutter.finish())

    def show(self, record: InputRecord, answer: str | None) -> str:
        """The output for a record, its end included; an answer of None is a failure."""
        text = answer or ""
        return (folded(text) if self._end == "\n" else text) + self._end

    def _record(self, piece: bytes | None) -> InputRecord:
        self._number += 1
        if piece is None:
            return InputRecord(self._number, MAX_MESSAGE_BYTES, fault=_TOO_LONG)
        size = len(piece) + 1
        if self._end == "\n":
            piece = piece.removesuffix(b"\r")
        if not piece.strip():
            return InputRecord(self._number, size, passed=True)
        try:
            text = piece.decode("utf-8")
        except UnicodeDecodeError as error:
            return InputRecord(self._number, size, fault=_not_utf8(error))
        return InputRecord(self._number, size, question=self._template.fill(text))


class JsonLines:
    """A JSON value a line; the answer becomes the member `into` of the object, or of one that has the value."""

    def __init__(self, template: Template, into: str, *, answers_json: bool) -> None:
        self._template = template
        self._into = into
        self._answers_json = answers_json
        self._cutter = _Cutter(b"\n")
        self._number = 0

    def feed(self, data: bytes) -> Iterator[InputRecord]:
        """See Lines."""
        return map(self._record, self._cutter.feed(data))

    def finish(self) -> Iterator[InputRecord]:
        """See Lines."""
        return map(self._record, self._cutter.finish())

    def show(self, record: InputRecord, answer: str | None) -> str:
        """See Lines."""
        if record.passed:
            return "\n"
        if record.whole:
            return f"{record.shown}\n"
        value = json.dumps(answer, ensure_ascii=False)
        if self._answers_json and answer is not None:
            value = folded(answer)
        # Into the text and not into an object: both stay as they were written.
        begun = str(record.shown).removesuffix("}").rstrip()
        comma = "" if begun == "{" else ", "
        return f"{begun}{comma}{json.dumps(self._into, ensure_ascii=False)}: {value}}}\n"

    def _record(self, piece: bytes | None) -> InputRecord:
        self._number += 1
        if piece is None:
            return self._failed(MAX_MESSAGE_BYTES, _TOO_LONG)
        size = len(piece) + 1
        if not piece.strip():
            return InputRecord(self._number, size, passed=True)
        try:
            text = piece.decode("utf-8").strip()
            # Its text is passed on as it is: an id of 64 bits without a sign is nobody's fault.
            value = read_value(text, any_integer=True)
        except UnicodeDecodeError as error:
            return self._failed(size, _not_utf8(error))
        except ValueError as error:
            return self._failed(size, f"is no JSON: {error}")
        fields = value if isinstance(value, dict) else None
        shown = text if fields is not None else f'{{"{_RECORD}": {text}}}'
        if self._into in (fields if fields is not None else (_RECORD,)):
            return self._occupied(size, shown)
        try:
            question = self._template.fill(text, fields)
            # An escape such as \ud800 stands for no text.
            question.encode("utf-8")
        except MissingField as missing:
            return self._failed(size, f"has no member {missing}", shown)
        except UnicodeEncodeError:
            return self._failed(size, "has a lone surrogate, which is no text", shown)
        return InputRecord(self._number, size, question=question, shown=shown)

    def _occupied(self, size: int, shown: str) -> InputRecord:
        """The record as it is: what the user has under that name is neither replaced nor doubled."""
        fault, hint = f"has a member {self._into} already", "--into NAME calls the new one otherwise"
        if self._number == 1:
            # The others have it as well, more likely than not, and nobody was asked so far.
            raise UsageError(f"record 1 {fault}", hint=hint)
        return InputRecord(self._number, size, fault=f"{fault}; {hint}", shown=shown, whole=True)

    def _failed(self, size: int, fault: str, shown: str = "{}") -> InputRecord:
        return InputRecord(self._number, size, fault=fault, shown=shown)


class CsvRows:
    """Rows of CSV below a row of names; the answer becomes the last column, `into`. Fields may hold line ends."""

    def __init__(self, template: Template, into: str) -> None:
        import csv

        # Its own limit is smaller; it holds for the process.
        csv.field_size_limit(MAX_MESSAGE_BYTES)
        self._csv = csv
        self._template = template
        self._into = into
        self._cutter = _Cutter(b"\n")
        self._number = 0
        self._names: list[str] | None = None
        self._lines: list[bytes] = []
        self._size = 0
        self._in_quotes = False
        self._over = False

    def feed(self, data: bytes) -> Iterator[InputRecord]:
        """See Lines; the row of names comes as a record that is passed. Raises UsageError when it does not do."""
        for line in self._cutter.feed(data):
            yield from self._take(line)

    def finish(self) -> Iterator[InputRecord]:
        """See Lines."""
        for line in self._cutter.finish():
            yield from self._take(line)
        if self._in_quotes:
            yield self._end_row(unclosed=True)

    def show(self, record: InputRecord, answer: str | None) -> str:
        """See Lines."""
        if record.passed:
            return self._row([*record.shown, self._into])
        return self._row([*record.shown, answer or ""])

    def _row(self, cells: list[str]) -> str:
        from io import StringIO

        out = StringIO()
        self._csv.writer(out, lineterminator="\n").writerow(cells)
        return out.getvalue()

    def _take(self, line: bytes | None) -> Iterator[InputRecord]:
        if not self._lines and not self._over and line is not None and not line.strip():
            # No row: other readers of CSV pass over it too.
            return
        self._size += MAX_MESSAGE_BYTES if line is None else len(line) + 1
        if line is not None:
            self._in_quotes = ends_in_quotes(line, self._in_quotes)
        self._over = self._over or line is None or self._size > MAX_MESSAGE_BYTES
        if self._over:
            self._lines = []
        elif line is not None:
            self._lines.append(line)
        if not self._in_quotes:
            yield self._end_row()

    def _end_row(self, *, unclosed: bool = False) -> InputRecord:
        data, size, over = b"\n".join(self._lines).removesuffix(b"\r"), self._size, self._over
        self._lines, self._size, self._over, self._in_quotes = [], 0, False, False
        fault, cells = "", list[str]()
        try:
            text = data.decode("utf-8")
            if over:
                fault = _TOO_LONG
            elif unclosed:
                fault = "has a quoted field that does not end"
            else:
                cells = self._cells(text)
        except UnicodeDecodeError as error:
            fault = _not_utf8(error)
        except self._csv.Error as error:
            fault = f"is no CSV: {error}"
        if self._names is None:
            return self._header(cells, fault, size)
        return self._record(text if not fault else "", cells, fault, size)

    def _cells(self, text: str) -> list[str]:
        # One item: a file would be cut at line ends that are none here.
        return next(self._csv.reader([text]))

    def _header(self, names: list[str], fault: str, size: int) -> InputRecord:
        if fault:
            raise UsageError(f"the row of names {fault}", hint="--csv wants the names of the columns in the first row")
        for name in self._template.names:
            if names.count(name) != 1:
                told = "no column" if name not in names else "more than one column"
                raise UsageError(f"there is {told} {name}", hint=f"the columns are {', '.join(names)}")
        if self._into in names:
            raise UsageError(f"there is a column {self._into} already", hint="--into NAME calls the new one otherwise")
        self._names = names
        return InputRecord(0, size, passed=True, shown=names)

    def _record(self, text: str, cells: list[str], fault: str, size: int) -> InputRecord:
        assert self._names is not None
        self._number += 1
        columns = len(self._names)
        if not fault and len(cells) != columns:
            fault = f"has {len(cells)} fields in place of {columns}"
        if fault:
            # The answer stays in its column.
            return InputRecord(self._number, size, fault=fault, shown=(cells + [""] * columns)[:columns])
        question = self._template.fill(text, dict(zip(self._names, cells, strict=True)))
        return InputRecord(self._number, size, question=question, shown=cells)


def ends_in_quotes(line: bytes, in_quotes: bool) -> bool:
    """Tells whether a quoted field goes on behind this line, which began inside of one or not."""
    at = 0
    while True:
        if in_quotes:
            at = line.find(b'"', at)
            if at < 0:
                return True
            if line[at + 1 : at + 2] == b'"':
                at += 2
                continue
            at, in_quotes = at + 1, False
        elif line[at : at + 1] == b'"':
            at, in_quotes = at + 1, True
            continue
        # A quote within a field that does not begin with one is text.
        at = line.find(b",", at) + 1
        if at == 0:
            return False


def folded(text: str) -> str:
    """The text as one line: white space around line ends becomes one blank. Other separators stay: JSON has them."""
    lines = text.replace("\r", "\n").split("\n")
    return " ".join(part for line in lines if (part := line.strip()))


def _not_utf8(error: UnicodeDecodeError) -> str:
    return f"is not UTF-8 text (byte {error.start})"
