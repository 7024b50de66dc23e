"""`agentgw logs`: the daemon's log, read from its file."""

from __future__ import annotations

import os
import time

from agentgw.cli import output
from agentgw.local.logtail import tail, tail_of
from agentgw.local.paths import Paths
from agentgw.protocol.errors import DaemonUnreachable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import BinaryIO, Final

_POLL_S: Final = 0.2
_READ_BYTES: Final = 1 << 16


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    parser.add_argument("-n", "--lines", metavar="N", type=int, default=50, help="the last so many lines")


def run(args: Namespace) -> int:
    """Prints it."""
    if args.lines < 0:
        raise UsageError("-n takes a number from 0", hint="see agentgw logs --help")
    path = Paths().log_file
    if args.follow:
        _follow(path, args.lines)
    if not os.path.exists(path):
        raise DaemonUnreachable(f"there is no log yet at {path}", hint="run: agentgw start")
    _print(tail(path, args.lines))
    return 0


def _follow(path: str, lines: int) -> None:
    """Prints what is there and what comes, through rotations, until it is interrupted."""
    log = _open(path)
    if log is not None:
        # From the same file: what is added meanwhile comes next.
        _print(tail_of(log, lines))
    while True:
        if log is None:
            log = _open(path)
        elif not _print_new(log) and _was_rotated(path, log):
            # Lines that were added between the last look and the rotation.
            _print_new(log)
            log.close()
            log = _open(path)
            continue
        time.sleep(_POLL_S)


def _print(lines: list[str]) -> None:
    for text in lines:
        output.write(text + "\n")
    output.flush()


def _open(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _print_new(log: BinaryIO) -> bool:
    data = log.read(_READ_BYTES)
    if data:
        # A character cut by the end of the read is rare and cosmetic.
        output.write(data.decode("utf-8", "replace"))
        output.flush()
    return bool(data)


def _was_rotated(path: str, log: BinaryIO) -> bool:
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return True
    then = os.fstat(log.fileno())
    return (now.st_ino, now.st_dev) != (then.st_ino, then.st_dev) or now.st_size < log.tell()
