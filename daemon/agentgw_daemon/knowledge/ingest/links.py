"""Links: the file that a name leads to, and whether it may be read. Blocking, for a thread.

A stranger's folder holds links as it likes, and a shell's `*` names them too: a symbolic link must not bring in what
nobody named, a hard link not a secret under another name.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.files import secret_names
from agentgw_daemon.tools.files.walking import FileIdentity

# Of our own directories, and of what is hidden in somebody's home: credentials lie no deeper (.config/gh/hosts.yml).
_MOST_ENTRIES: Final = 50_000
_HOME_DEPTH: Final = 3
_ANY_DEPTH: Final = 32

SECRET: Final = "holds keys or agentgw's own data"
_SHARED: Final = "is a second name of a file that is hidden, or holds keys or agentgw's own data"
_HIDDEN: Final = "is a link into a hidden folder or to a hidden file; name that itself"


def is_below(path: str, folder: str) -> bool:
    """Tells whether an absolute path is in a folder, or is it."""
    return path == folder or path.startswith(os.path.join(folder, ""))


def leads_away(path: str, real: str, roots: Iterable[str], home: str) -> str | None:
    """The reason why a path that somebody named, leading to `real`, does not count; None when it does.

    A link counts that stays beside itself or leads into one of the `roots`, which are free of links, and that does not
    bring in something hidden whose name was not said; a home may lie where it likes.
    """
    said = frozenset(path.split("/")) | frozenset(os.path.realpath(home).split("/") if home else ())
    if any(part.startswith(".") and part not in said for part in real.split("/")):
        return _HIDDEN
    if not os.path.islink(path):
        return None
    beside = os.path.realpath(os.path.dirname(path))
    return None if any(is_below(real, root) for root in (beside, *roots)) else leads_out(real)


def leads_out(real: str) -> str:
    """The words about a link that leads out of all that was named."""
    return f"is a link that leads out, to {visible_line(real)}; name that itself"


class SecretFiles:
    """Files that must not be read under another name either, by device and inode."""

    def __init__(self, own: Iterable[Path], home: str) -> None:
        self._own = own
        self._home = home
        self._beside: set[FileIdentity] = set()
        self._folders: list[str] = []

    def saw(self, status: os.stat_result) -> None:
        """A file whose name is secret lies in a folder that is walked."""
        if _is_shared(status):
            self._beside.add((status.st_dev, status.st_ino))

    def saw_folder(self, path: str) -> None:
        """A folder whose name is secret lies in one that is walked."""
        self._folders.append(path)

    def saw_named(self, path: str) -> None:
        """A file was named: what is secret beside it has a name of its own."""
        for name, status in _entries(os.path.dirname(path)):
            if secret_names.is_denied_file(name) or secret_names.is_asked_for(name):
                self.saw(status)

    def shared(self, found: Iterable[FileIdentity]) -> dict[FileIdentity, str]:
        """The secret ones of these files, which have more than one name each, with what is said of them."""
        wanted = frozenset(found)
        if not wanted:
            return {}
        secret = self._beside | _identities(map(str, self._own), _ANY_DEPTH) | _identities(self._folders, _ANY_DEPTH)
        if self._home:
            secret |= _identities([self._home], _HOME_DEPTH, hidden_only=True)
        return dict.fromkeys(wanted & secret, _SHARED)


def _identities(folders: Iterable[str], depth: int, *, hidden_only: bool = False) -> set[FileIdentity]:
    """Files below with more than one name. Breadth first, so that a bound leaves out the deepest."""
    found: set[FileIdentity] = set()
    waiting = deque((folder, depth, hidden_only) for folder in folders)
    seen = 0
    while waiting and seen < _MOST_ENTRIES:
        folder, left, only = waiting.popleft()
        for name, status in _entries(folder):
            seen += 1
            if only and not name.startswith("."):
                continue
            if stat.S_ISDIR(status.st_mode):
                if left > 1:
                    waiting.append((os.path.join(folder, name), left - 1, False))
            elif _is_shared(status):
                found.add((status.st_dev, status.st_ino))
    return found


def _entries(folder: str) -> list[tuple[str, os.stat_result]]:
    """The entries of a folder, without following links; nothing where it cannot be read."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
                except OSError:
                    # Gone since it was listed.
                    continue
    except OSError:
        return []
    return found


def _is_shared(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink > 1
