"""`agentgw logs`: the daemon's log, read from its file. In a pipe its lines are as they are; a terminal breaks them."""

from __future__ import annotations

import codecs
import os
import sys
import time

from agentgw.cli import output
from agentgw.local.files.logtail import tail, tail_of
from agentgw.local.paths import Paths
from agentgw.protocol.errors import DaemonUnreachable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import BinaryIO, Final

    from agentgw.cli.terminal.wrapping import WordWrap

_POLL_S: Final = 0.2
_READ_BYTES: Final = 1 << 16


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    parser.add_argument("-n", "--lines", metavar="N", type=int, default=50, help="the last so many lines")


def run(args: Namespace) -> int:
    """Prints the log."""
    if args.lines < 0:
        raise UsageError("-n takes a number from 0", hint="see agentgw logs --help")
    path = Paths().log_file
    if args.follow:
        _follow(path, args.lines)
    if not os.path.exists(path):
        raise DaemonUnreachable(f"there is no log yet at {path}", hint="run: agentgw start")
    _LogPrinter().write_lines(tail(path, args.lines))
    return 0


class _LogPrinter:
    """Writes pieces of the log as they come. On a terminal they are broken between words, as other listings are."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._wrap = _word_wrap() if output.is_terminal(sys.stdout) else None

    def write_lines(self, lines: list[str]) -> None:
        """Writes whole lines, which come without their ends."""
        self._write("".join(f"{line}\n" for line in lines))

    def write_bytes(self, data: bytes) -> None:
        """Writes a piece of the file, which may end in the middle of a character."""
        self._write(self._decoder.decode(data))

    def _write(self, text: str) -> None:
        output.write(text if self._wrap is None else self._wrap.feed(output.visible(text)))
        output.flush()


def _word_wrap() -> WordWrap:
    # Here, for a pipe does not need it.
    from agentgw.cli.terminal.wrapping import WordWrap

    return WordWrap(output.columns, markdown=False)


def _follow(path: str, lines: int) -> None:
    """Prints what is there and what comes, through rotations, until it is interrupted."""
    printer = _LogPrinter()
    log = _open(path)
    if log is not None:
        # From the same file: what is added meanwhile comes next.
        printer.write_lines(tail_of(log, lines))
    while True:
        if log is None:
            log = _open(path)
        elif not _print_new(log, printer) and _was_rotated(path, log):
            # Lines that were added between the last look and the rotation.
            _print_new(log, printer)
            log.close()
            log = _open(path)
            continue
        time.sleep(_POLL_S)


def _open(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _print_new(log: BinaryIO, printer: _LogPrinter) -> bool:
    data = log.read(_READ_BYTES)
    if data:
        printer.write_bytes(data)
    return bool(data)


def _was_rotated(path: str, log: BinaryIO) -> bool:
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return True
    then = os.fstat(log.fileno())
    return (now.st_ino, now.st_dev) != (then.st_ino, then.st_dev) or now.st_size < log.tell()
