"""The service's files: written whole, compared, removed. A file that we did not write is never touched."""

from __future__ import annotations

import os
import stat

from agentgw.local.directories import private_umask
from agentgw.protocol.errors import ConfigRefused
from agentgw.protocol.records.schema import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    FileState = Literal["current", "differs", "missing"]

MARK = "Written by `agentgw service install"
# Far more than one of ours has.
_MAX_BYTES = 1 << 16


@record
class Installed:
    """State of the service's files."""

    files: tuple[tuple[str, FileState], ...]
    enabled: bool
    at_login: bool
    # It listens at the socket of another AGENTGW_HOME.
    elsewhere: bool
    # The daemon's program as the installed file names it; empty when there is none.
    program: str

    @property
    def present(self) -> bool:
        """True when any of it is there."""
        return any(state != "missing" for _, state in self.files)

    @property
    def current(self) -> bool:
        """True when all of it says what this installation would write."""
        return all(state == "current" for _, state in self.files)


def read(path: str) -> str | None:
    """The text, or None when there is no such file. Raises ConfigRefused for what is not a text of ours."""
    try:
        # Nobody may ever write into a FIFO that was put there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigRefused(f"{path} is no file", hint="move it away")
            with open(descriptor, "rb", closefd=False) as file:
                text = file.read(_MAX_BYTES).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        if os.path.islink(path):
            # Somebody keeps it elsewhere, on a disk that is not there now.
            raise ConfigRefused(f"{path} is a link that leads nowhere", hint="move it away") from None
        return None
    except OSError as error:
        raise ConfigRefused(f"{path} cannot be read: {error.strerror}", hint="move it away") from None
    if MARK not in text:
        raise ConfigRefused(f"{path} was not written by agentgw", hint="move it away")
    return text


def state_of(path: str, text: str) -> FileState:
    """State of a file, compared with the text that it would get."""
    try:
        found = read(path)
    except ConfigRefused:
        return "differs"
    if found is None:
        return "missing"
    return "current" if found == text else "differs"


def write(path: str, text: str) -> bool:
    """Writes the text unless the file has it already; tells whether it did. A reader sees the old or the new text."""
    if read(path) == text:
        return False
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with private_umask():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(temporary, "x", encoding="utf-8") as file:
                file.write(text)
        os.rename(temporary, path)
    except OSError as error:
        _unlink(temporary)
        raise ConfigRefused(f"{path} cannot be written: {error.strerror}", hint="check its directory") from None
    return True


def remove(path: str) -> bool:
    """Removes a file of ours; gives whether there was one."""
    return read(path) is not None and _unlink(path)


def remove_link(path: str) -> bool:
    """Removes what a service manager makes to enable a unit; gives whether there was one."""
    return os.path.islink(path) and _unlink(path)


def remove_if_empty(folder: str) -> None:
    """A directory that others may have put something into stays then."""
    try:
        os.rmdir(folder)
    except OSError:
        return


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigRefused(f"{path} cannot be removed: {error.strerror}") from None
    return True
