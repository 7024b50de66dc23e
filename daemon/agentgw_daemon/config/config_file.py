"""`config.toml` on disk: read it within bounds and parse it; what cannot be read is refused in one line."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import tomllib
from typing import Any, Final

from agentgw.protocol.errors import ConfigRefused

# No honest configuration comes near; a bound keeps a wrong file from being read whole.
MAX_FILE_BYTES: Final = 1 << 20
# Looking for the line of a key takes a tenth of a second with as many.
_MOST_LINES: Final = 2000
_MOST_LINES_OF_VALUE: Final = 100


def read_text(file: str) -> str:
    """The file's text, empty when there is none. Newlines are kept as they are."""
    try:
        # O_NONBLOCK: a FIFO in its place is refused rather than waited for.
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _refused(file, f"cannot be read: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _refused(file, "is not a regular file")
        with open(fd, "rb", closefd=False) as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(file, f"cannot be read: {error.strerror}") from None
    finally:
        os.close(fd)
    if len(raw) > MAX_FILE_BYTES:
        raise _refused(file, f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refused(file, f"is not UTF-8 (at line {line})") from None


def replace_text(file: str, text: str) -> None:
    """Write the file, which readers see old or new, never half; a link stays one. Raises ConfigRefused."""
    target = os.path.realpath(file)
    data = text.encode()
    if len(data) > MAX_FILE_BYTES:
        raise _refused(file, f"would be larger than {MAX_FILE_BYTES} bytes")
    try:
        fd, made = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".write-")  # mode 0600
        try:
            with open(fd, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(fd)
            os.replace(made, target)
        except OSError:
            os.unlink(made)
            raise
    except OSError as error:
        raise _refused(file, f"cannot be written: {error.strerror}") from None


def parse(text: str, file: str) -> dict[str, Any]:
    """The TOML document; a syntax error names its line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(file, str(error)) from None
    except RecursionError:
        raise _refused(file, "is nested too deeply") from None


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The line, from 1, at which the key's or section's first statement begins in a text that is TOML.

    TOML has many ways to write a key, and the parser does not say where it read one. But of the beginnings of the
    text that are TOML, all from one on have the key: that one is looked for by halving. None for no key, and for a
    text or a value of very many lines, where it would take long.
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    if len(lines) > _MOST_LINES or not _has(text, path):
        return None
    # The first has not got it, the last has, and between `upper` and the last none is TOML.
    first, upper, last = 0, len(lines), len(lines)
    while first + 1 < upper:
        middle = (first + upper) // 2
        ends = range(middle, min(last, middle + _MOST_LINES_OF_VALUE))
        found = next(((end, has) for end in ends if (has := _has("".join(lines[:end]), path)) is not None), None)
        if found is None and ends.stop < last:
            return None
        if found is not None and not found[1]:
            first = found[0]
        else:
            upper, last = middle, found[0] if found else last
    return first + 1


def _has(text: str, path: tuple[str, ...]) -> bool | None:
    """Tells whether the text has the key; None for what is no TOML, as a value that goes on."""
    try:
        found: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    for name in path:
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True


def _refused(file: str, what: str) -> ConfigRefused:
    return ConfigRefused(f"{file}: {what}", hint="correct it with agentgw config edit")
