"""Documents of this machine for a daemon on another: found here, sent in pieces, stored under this machine's name.

What the daemon's own look at a folder leaves out by rules that only it knows (lines of .gitignore) is left out here by
git, where the folder is git's; one with such a file and no git is refused rather than sent whole.
"""

from __future__ import annotations

import os

from agentgw.cli import output
from agentgw.local.paths import absolute
from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from agentgw.client import Client

# In base64 a third more, which fits a message of a mebibyte.
_PIECE_BYTES: Final = 512 << 10
_IGNORE_FILES: Final = (".gitignore", ".ignore", ".agentgwignore")
_GIT_TIMEOUT_S: Final = 60.0
# Keys, which the daemon would refuse as documents once they are there.
_SECRET_NAMES: Final = ("id_*", "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "*.jks", "*.keystore")


def uploaded_name(path: str) -> str:
    """The source of a document that was sent from here: HOST:/PATH, as scp writes it."""
    return f"{os.uname().nodename}:{absolute(path)}"


def upload(client: Client, path: str) -> str:
    """Sends the file's bytes; gives the upload's id. Raises UsageError when it cannot be read."""
    import base64

    upload_id: str | None = None
    try:
        # O_NONBLOCK: a named pipe without a writer would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if os.fstat(descriptor).st_mode & 0o170000 != 0o100000:  # S_IFREG
                raise UsageError(f"{output.one_line(path)} is not a file")
            while (piece := file.read(_PIECE_BYTES)) or upload_id is None:
                sent = client.call("document.upload", data=base64.b64encode(piece).decode("ascii"), upload_id=upload_id)
                upload_id = str(sent["upload_id"])
    except OSError as error:
        raise UsageError(f"{output.one_line(path)} cannot be read: {error.strerror}") from None
    return upload_id


def files_of(paths: list[str], exclude: list[str]) -> list[str]:
    """The files of paths, folders taken apart: without what is hidden, linked, ignored or a key. Raises UsageError."""
    found: list[str] = []
    for path in map(absolute, paths):
        if os.path.isdir(path):
            found += sorted(_wanted(path, exclude))
        elif os.path.lexists(path):
            found.append(path)
        else:
            raise UsageError(f"{output.one_line(path)} is not there")
    return list(dict.fromkeys(found))


def _wanted(folder: str, exclude: list[str]) -> Iterator[str]:
    from fnmatch import fnmatchcase

    for path in _of_git(folder) or _walked(folder):
        relative = os.path.relpath(path, folder)
        parts = relative.split(os.sep)
        if any(part.startswith(".") for part in parts) or os.path.islink(path) or not os.path.isfile(path):
            continue
        if any(fnmatchcase(parts[-1].lower(), secret) for secret in _SECRET_NAMES):
            continue
        if not any(fnmatchcase(part, one.strip("/")) for one in exclude for part in (*parts, relative)):
            yield path


def _of_git(folder: str) -> list[str] | None:
    """The files that git keeps or would, or None where it says nothing of the folder."""
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return [os.path.join(folder, os.fsdecode(name)) for name in done.stdout.split(b"\0") if name]


def _walked(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        if ignoring := [name for name in _IGNORE_FILES if name in files]:
            raise UsageError(
                f"{output.one_line(os.path.join(place, ignoring[0]))} says what to leave out, in words that only git"
                " or the daemon reads",
                hint="name the files, or install git and make it a repository",
            )
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(place, name) for name in files)
