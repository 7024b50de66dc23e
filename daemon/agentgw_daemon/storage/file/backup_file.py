"""A backup where the user wants it: made beside its name, looked at, then given that name. Blocks; no trio."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from agentgw.protocol.errors import AlreadyExists, InvalidParams, StorageUnavailable
from agentgw_daemon.storage.file.backups import is_sound
from agentgw_daemon.storage.sqlite.filesystem import size_of
from agentgw_daemon.system.durable import sync_path


class BackupFile:
    """One backup to be made. `filling` takes the copy, `publish` gives it its name, `discard` cleans up.

    Methods raise InvalidParams for a name that cannot be a backup's, AlreadyExists for one that is taken, and
    StorageUnavailable for what the disk says.
    """

    def __init__(self, path: str, *, force: bool, own: Iterable[str]) -> None:
        """Judge the name; directories in `own` are the daemon's and take no backups."""
        if not os.path.isabs(path) or "\0" in path:
            raise _unfit(path, "is no absolute path")
        self.path = Path(os.path.normpath(path))
        self._force = force
        folder = os.path.realpath(self.path.parent)
        if not os.path.isdir(folder):
            raise _unfit(path, f"{self.path.parent} is no directory")
        if any(_is_inside(folder, os.path.realpath(directory)) for directory in own):
            raise _unfit(path, "is among agentgw's own files")
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _failed(self.path, error) from None
        else:
            if not stat.S_ISREG(found.st_mode):
                raise _unfit(path, "is there and is no file")
            if not force:
                raise _taken(self.path)
        self.partial = self.path.with_name(f".agentgw-{os.urandom(6).hex()}.partial")
        try:
            os.close(os.open(self.partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise _failed(self.path, error) from None

    @contextlib.contextmanager
    def filling(self) -> Iterator[Path]:
        """The file to copy to; what keeps it from being written is said of the backup's name."""
        try:
            yield self.partial
        except OSError as error:
            raise _failed(self.path, error) from None

    def publish(self) -> int:
        """Look at the whole copy and give it its name; gives its size in bytes."""
        if not is_sound(self.partial):
            raise StorageUnavailable(
                "the copy is not sound, and was not kept", hint="see agentgw doctor", reason="quick_check"
            )
        size = size_of(self.partial)
        try:
            _give_name(self.partial, self.path, replace=self._force)
            sync_path(self.path.parent)
        except FileExistsError:
            raise _taken(self.path) from None
        except OSError as error:
            raise _failed(self.path, error) from None
        return size

    def discard(self) -> None:
        """Remove what is left of a copy that was not published."""
        try:
            self.partial.unlink(missing_ok=True)
        except OSError:
            return


def _give_name(partial: Path, path: Path, *, replace: bool) -> None:
    if replace:
        partial.replace(path)
        return
    try:
        # Unlike a rename, a link never takes the place of a file that came meanwhile.
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:
        # A filesystem without hard links.
        if os.path.lexists(path):
            raise FileExistsError from None
        partial.rename(path)
        return
    partial.unlink()


def _is_inside(folder: str, directory: str) -> bool:
    return folder == directory or folder.startswith(f"{directory.rstrip('/')}/")


def _taken(path: Path) -> AlreadyExists:
    return AlreadyExists(f"{path} is there", hint="--force replaces it", kind="file", id=str(path))


def _unfit(path: str, reason: str) -> InvalidParams:
    return InvalidParams(f"{path}: {reason}", hint="name a file in a directory of your own", path="path", reason=reason)


def _failed(path: Path, error: OSError) -> StorageUnavailable:
    reason = error.strerror or str(error)
    return StorageUnavailable(f"{path} cannot be written: {reason}", hint="check its directory", reason=reason)
