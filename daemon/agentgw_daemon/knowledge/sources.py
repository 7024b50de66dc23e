"""Names of documents, and the files behind them. Does no I/O.

A file's source is its absolute path as Python has it, with surrogates for bytes that are no UTF-8. JSON has no words
for those: on the wire such a path is a `file:` address (RFC 8089), which no path looks like.
"""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import unquote_to_bytes

_ADDRESS: Final = "file://"


def path_of(given: str) -> str | None:
    """The absolute path that a client means; None for a source that is only a name."""
    if given.startswith(_ADDRESS + "/"):
        given = os.fsdecode(unquote_to_bytes(given.removeprefix(_ADDRESS)))
    if not given.startswith("/") or "\0" in given:
        return None
    # POSIX leaves the meaning of two slashes at the beginning open, and normpath keeps them.
    return os.path.normpath("/" + given.lstrip("/"))


def shown(source: str) -> str:
    r"""The source as text that any wire and terminal takes: bytes that are no UTF-8 become `\xff`."""
    return source.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
