"""`config.toml` on disk: read it, parse it, and write one value back with everything else left as it is.

The editor changes one line and then proves it: the new text must parse to the old document with exactly that
value changed. A file written in a way it does not understand is refused, never damaged.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from agentgw.errors import ConfigRefused

# No honest configuration comes near; a bound keeps a wrong file from being read whole.
MAX_FILE_BYTES: Final = 1 << 20


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


def parse(text: str, file: str) -> dict[str, Any]:
    """The TOML document; a syntax error names its line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(file, str(error)) from None
    except RecursionError:
        raise _refused(file, "is nested too deeply") from None


def write_value(file: str, section: str, key: str, value: str) -> None:
    """Set `[section] key` in the file; what is there is kept, comments too. The file is replaced whole."""
    # A symlink, as dotfile collections use, stays one.
    target = os.path.realpath(file)
    text = set_value(read_text(target), section, key, value, file)
    # The pid keeps two writers apart; a leftover of a killed one is simply overwritten.
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as stream:
            os.fchmod(fd, 0o600)
            stream.write(text.encode())
            stream.flush()
            os.fsync(fd)
        os.rename(temporary, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise _refused(file, f"cannot be written: {error.strerror}") from None


def set_value(text: str, section: str, key: str, value: str, file: str = "config.toml") -> str:
    """`text` with `[section] key = value`, everything else untouched. Raises ConfigRefused when it cannot be done."""
    wanted = parse(text, file)
    if not isinstance(wanted.setdefault(section, {}), dict):
        raise _refused(file, f"{section} must be a section, [{section}]")
    wanted[section][key] = value
    for candidate in _candidates(text, section, key, json.dumps(value, ensure_ascii=False)):
        try:
            if tomllib.loads(candidate) == wanted:
                return candidate
        except tomllib.TOMLDecodeError:
            continue
    raise ConfigRefused(
        f"{file}: cannot change {section}.{key} in the way the file is written",
        hint=f"set {key} under [{section}] with agentgw config edit",
    )


def _candidates(text: str, section: str, key: str, literal: str) -> Iterator[str]:
    """Edits that may be right, likeliest first: lines look the same inside and outside a multi-line string."""
    # Not splitlines(): it also splits at characters that are no line end in TOML.
    lines = text.split("\n")
    end = "\r" if any(line.endswith("\r") for line in lines) else ""
    bare, quoted = re.escape(key), f"[\"']{re.escape(key)}[\"']"
    dotted = rf"[\"']?{re.escape(section)}[\"']?\s*\.\s*"
    assignment = re.compile(rf"\s*(?:{dotted})?(?:{bare}|{quoted})\s*=\s*")
    for number, line in enumerate(lines):
        if found := assignment.match(line):
            yield "\n".join([*lines[:number], found[0] + literal + _tail(line), *lines[number + 1 :]])
    header = re.compile(rf"\s*\[\s*[\"']?{re.escape(section)}[\"']?\s*\]\s*(#.*)?")
    for number, line in enumerate(lines):
        if header.fullmatch(line):
            yield "\n".join([*lines[: number + 1], f"{key} = {literal}{end}", *lines[number + 1 :]])
    break_before = "" if not text or text.endswith("\n") else end + "\n"
    blank = f"{end}\n" if text.strip() else ""
    yield f"{text}{break_before}{blank}[{section}]{end}\n{key} = {literal}{end}\n"


def _tail(line: str) -> str:
    """What follows the value of a one-line assignment: spaces, a comment, a carriage return."""
    end = "\r" if line.endswith("\r") else ""
    body = line.removesuffix("\r")
    for found in re.finditer(r"\s*#", body):
        # The first '#' outside a string is the one before which the line is complete.
        with contextlib.suppress(tomllib.TOMLDecodeError):
            tomllib.loads(body[: found.start()])
            return body[found.start() :] + end
    return end


def _refused(file: str, what: str) -> ConfigRefused:
    return ConfigRefused(f"{file}: {what}", hint="correct it with agentgw config edit")
