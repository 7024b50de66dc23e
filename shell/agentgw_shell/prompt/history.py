"""Typed lines, kept for the next chats: private, and without what is not meant to be kept."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from typing import Final

from prompt_toolkit.history import FileHistory

# Some ten thousand lines; more of them would hold the first key up.
_MOST_BYTES: Final = 1 << 20
_SET: Final = re.compile(r"(/set)\b.*", re.DOTALL)
# Keys of well-known services, tokens with three parts, what is named a secret, and long runs that no word is.
_KEYS: Final = re.compile(
    r"""
    \b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,} | \bgh[opsur]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,} | \bhf_[A-Za-z0-9]{16,}
    | \bxox[abprs]-[A-Za-z0-9-]{10,} | \bAKIA[A-Z0-9]{16}\b | \bAIza[\w-]{30,} | \bglpat-[\w-]{16,}
    | \beyJ[\w-]{8,}\.[\w-]+\.[\w-]+ | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*-----|\Z)
    | \b(?=[A-Za-z0-9+/_-]*\d)(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{32,}={0,2}
    | (?<=://)[^\s/:@]+:[^\s/@]+(?=@)
    """,
    re.VERBOSE | re.DOTALL,
)
_NAMED: Final = re.compile(
    r"\b((?:api[_-]?key|secret|token|passw(?:or)?d|bearer|authorization)\b['\"]?\s*(?:[:=]\s*|\s(?=\S{12})))(\S+)",
    re.IGNORECASE,
)


class PrivateHistory(FileHistory):
    """A history file that only its owner reads; with a `fault` there can be none, and this chat has its own lines."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.fault = _made_private(path)

    def load_history_strings(self) -> Iterable[str]:
        """The lines of earlier chats, the latest first: as many as can be read while the prompt comes up."""
        if self.fault:
            return ()
        with open(self.filename, "rb") as file:
            start = max(file.seek(0, os.SEEK_END) - _MOST_BYTES, 0)
            file.seek(start)
            data = file.read()
        if start:
            # In the middle of one.
            data = data[data.find(b"\n#") + 1 :]
        return reversed(_entries(data.decode("utf-8", "replace").split("\n")))

    def append_string(self, string: str) -> None:
        """Keep the part of a typed line that may be kept."""
        if kept := keepable(string):
            super().append_string(kept)

    def store_string(self, string: str) -> None:
        """Write one typed text to the file; a full disk costs the history and not the chat."""
        if self.fault:
            return
        try:
            super().store_string(string)
        except OSError:
            return


def _entries(lines: Iterable[str]) -> list[str]:
    """Typed texts: the lines of each are marked, whatever lies between."""
    found: list[str] = []
    goes_on = False
    for line in lines:
        if line.startswith("+"):
            if goes_on:
                found[-1] += f"\n{line[1:]}"
            else:
                found.append(line[1:])
        goes_on = line.startswith("+")
    return found


def _made_private(path: str) -> str:
    """Makes the file, readable by its owner alone; gives the reason where that fails."""
    try:
        # A pipe without a reader would keep whoever opens it waiting.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        return error.strerror or str(error)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "it is no file"
        # A typed line is as private as an answer, whatever the umask says.
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        os.close(descriptor)
    return ""


def keepable(text: str) -> str:
    """The part of a line that is kept: nothing where it begins with a blank, no values that are set, no keys."""
    if not text.strip() or text.startswith((" ", "\t")):
        return ""
    text = _SET.sub(r"\1", text) if text.startswith("/set") else text
    return _KEYS.sub("***", _NAMED.sub(r"\1***", text))
