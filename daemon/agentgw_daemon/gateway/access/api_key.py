"""The key that HTTP over TCP asks for: the environment's, or one made once and kept in a file for its user alone."""

from __future__ import annotations

import os
import re
import secrets
import stat
from typing import Final

from agentgw.local.directories import quoted
from agentgw.protocol.errors import ConfigRefused, DirectoryRefused
from agentgw.protocol.records.schema import record

# 256 bits.
_KEY_BYTES: Final = 32
# Characters that a header can carry.
_KEY: Final = re.compile(r"[\x21-\x7e]{1,512}")
# Four billion tries a second would need a day for the eight letters and digits that people choose.
_SHORT_CHARS: Final = 16


@record
class ApiKey:
    """The key, and the file that holds it unless it came from the environment."""

    text: str
    file: str | None

    @property
    def is_short(self) -> bool:
        """Tells whether it is no key but a password."""
        return len(self.text) < _SHORT_CHARS


def find_key(path: str, given: str) -> ApiKey:
    """The key that was given, else the file's, else a new one in that file. Raises LocalError."""
    if given:
        if not _KEY.fullmatch(given):
            raise ConfigRefused(
                "AGENTGW_API_KEY must be up to 512 visible ASCII characters without spaces", hint="correct or unset it"
            )
        return ApiKey(text=given, file=None)
    try:
        return ApiKey(text=_read(path), file=path)
    except FileNotFoundError:
        return ApiKey(text=_make(path), file=path)


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DirectoryRefused(f"{path} cannot be read ({error.strerror})", hint="remove it: it is made anew") from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(fd)
        raise DirectoryRefused(f"{path} is not a file of yours", hint="remove it: it is made anew")
    with open(fd, "rb") as file:
        if found.st_mode & 0o077:
            raise DirectoryRefused(
                f"{path} is open to others, who may have read the key", hint=f"run: rm {quoted(path)}"
            )
        text = file.read(1024).decode("ascii", "replace").strip()
    if not _KEY.fullmatch(text):
        raise DirectoryRefused(f"{path} holds no key", hint="remove it: it is made anew")
    return text


def _make(path: str) -> str:
    text = secrets.token_urlsafe(_KEY_BYTES)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="ascii") as file:
            os.fchmod(fd, 0o600)
            file.write(f"{text}\n")
    except OSError as error:
        raise DirectoryRefused(f"{path} cannot be written ({error.strerror})") from None
    return text
