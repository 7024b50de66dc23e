"""The child of `search_text`: matches a pattern that a model wrote against files below a descriptor it was handed.

    {"fd", "is_file", "pattern", "regex", "glob", "denied", "max_matches"} -> ["path", line, "text"]… {"files": n, …}
    or {"error": …} for a pattern that is none

Matching a pattern can take for ever, and compiling one minutes, which is why this is a process of its own. Standard
library only.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import resource
import stat
import sys
from collections.abc import Iterator
from typing import Any, Final

from agentgw_daemon.tools.files import secret_names
from agentgw_daemon.tools.files.binary import is_binary
from agentgw_daemon.tools.files.walking import DirectoryEntry, walk

# Larger files are data.
MAX_FILE_BYTES: Final = 2 << 20
# Beside the interpreter: a file, its text and its lines.
MEMORY_BYTES: Final = 512 << 20
CPU_S: Final = 15
MAX_SHOWN_CHARS: Final = 300


def main() -> None:
    """Reads the request, writes the matches."""
    _limit()
    request = json.load(sys.stdin)
    try:
        pattern = re.compile(request["pattern"] if request["regex"] else re.escape(request["pattern"]))
    except (re.error, OverflowError, RecursionError) as error:
        _say({"error": str(error)})
        return
    glob = re.compile(fnmatch.translate(request["glob"])) if request["glob"] else None
    files = skipped = found = 0
    for path, name, fd in _files(request):
        if glob is not None and not (glob.match(name) or glob.match(path)):
            os.close(fd)
            continue
        text = _text(fd, name)
        if text is None:
            skipped += 1
            continue
        files += 1
        for number, line in enumerate(text.split("\n"), start=1):
            if not (match := pattern.search(line)):
                continue
            found += 1
            if found > request["max_matches"]:
                _say({"files": files, "skipped": skipped, "more": True})
                return
            _say([path, number, _around(line, match)])
    _say({"files": files, "skipped": skipped, "more": False})


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    if sys.platform != "darwin":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _say(value: object) -> None:
    # At once: what was found before the time is over counts.
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _files(request: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Path, name and a descriptor of each regular file that is to be searched."""
    if request["is_file"]:
        yield request["path"], os.path.basename(request["path"]), request["fd"]
        return
    denied = {(device, inode) for device, inode in request["denied"]}
    for entry in walk(request["fd"], denied):
        if entry.is_file and not secret_names.is_asked_for(entry.name) and (fd := _open(entry)) is not None:
            yield entry.path, entry.name, fd


def _open(entry: DirectoryEntry) -> int | None:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(entry.name, flags, dir_fd=entry.parent)
    except OSError:
        return None


def _text(fd: int, name: str) -> str | None:
    """The file's text; None for what is no text, too large or a key."""
    try:
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
                return None
            raw = file.read(MAX_FILE_BYTES)
    except OSError:
        return None
    if is_binary(raw) or (secret_names.may_hold_key(name) and secret_names.PRIVATE_KEY_MARK in raw):
        return None
    return raw.decode("utf-8", "replace")


def _around(line: str, match: re.Match[str]) -> str:
    """The line, or of a long one what is around the match."""
    if len(line) <= MAX_SHOWN_CHARS:
        return line.rstrip("\r")
    start = max(0, match.start() - MAX_SHOWN_CHARS // 3)
    return f"…{line[start : start + MAX_SHOWN_CHARS]}…"


if __name__ == "__main__":
    main()
