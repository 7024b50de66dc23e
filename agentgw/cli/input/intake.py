"""Input from outside for a request: standard input and files, as text, with a word when that takes long."""

from __future__ import annotations

import os
import sys
import time

from agentgw.cli import output
from agentgw.protocol.errors import ContextOverflow, UsageError
from agentgw.transport.framing import MAX_MESSAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# A pipe that ends at once is not spoken of.
_QUIET_S: Final = 1.0
_READ_BYTES: Final = 1 << 16
_STDIN: Final = "standard input"


def is_piped() -> bool:
    """Tells whether standard input is a pipe, a file or a socket: something that ends, unlike a terminal.

    `/dev/null` is none of them and gives nothing.
    """
    try:
        kind = os.fstat(0).st_mode & 0o170000
    except OSError:
        return False
    # A standard input that was closed is none, whatever has its number.
    return sys.stdin is not None and kind in (0o010000, 0o100000, 0o140000)  # S_IFIFO, S_IFREG, S_IFSOCK


def input_size() -> int | None:
    """Bytes that standard input still has, where it is a file; None where nobody knows."""
    try:
        status = os.fstat(0)
        if status.st_mode & 0o170000 != 0o100000:  # S_IFREG
            return None
        return max(0, status.st_size - os.lseek(0, 0, os.SEEK_CUR))
    except OSError:
        return None


def read_stdin(most_bytes: int) -> bytes:
    """Standard input to its end, or one byte more than `most_bytes`. Raises UsageError."""
    if sys.stdin is None:
        return b""
    try:
        return _read(0, _STDIN, most_bytes)
    except OSError as error:
        raise UsageError(f"{_STDIN} cannot be read: {error.strerror}", hint="give it a file or a pipe") from None


def stdin_text() -> str:
    """Standard input as text, without the newline that ends it. Raises UsageError and ContextOverflow."""
    return _text(read_stdin(MAX_MESSAGE_BYTES), _STDIN).removesuffix("\n")


def file_text(path: str) -> str:
    """The text of a file. Raises UsageError and ContextOverflow."""
    name = shown_name(path)
    try:
        with open(path, "rb", buffering=0) as file:
            return _text(_read(file.fileno(), name, MAX_MESSAGE_BYTES), name)
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the path.
        raise UsageError(f"{name} cannot be read: {getattr(error, 'strerror', error)}") from None


def shown_name(path: str) -> str:
    """The path as text: what of it is not UTF-8 becomes U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def _read(descriptor: int, name: str, most_bytes: int) -> bytes:
    """The bytes that the descriptor gives, and a notice once when it has not ended after a second."""
    from select import select

    parts, left = [], most_bytes + 1
    tell_at: float | None = time.monotonic() + _QUIET_S
    while left > 0:
        if tell_at is not None and not select([descriptor], [], [], max(0.0, tell_at - time.monotonic()))[0]:
            tell_at = None
            ends = "; Ctrl-D ends it" if os.isatty(descriptor) else ""
            output.notice(f"reading {name}, which has not ended yet{ends}")
        part = os.read(descriptor, min(left, _READ_BYTES))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _text(data: bytes, name: str) -> str:
    if len(data) > MAX_MESSAGE_BYTES:
        raise ContextOverflow(
            f"{name} has more than the {MAX_MESSAGE_BYTES} bytes a message may have",
            hint="send less, or put it into several messages",
        )
    try:
        # A byte order mark says how the text is encoded and is no part of it.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text (byte {error.start})", hint="convert it first") from None
