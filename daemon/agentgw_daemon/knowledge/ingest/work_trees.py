"""Work trees of git, and what git leaves out of one besides its ignore files: for the whole tree, and for its owner.

Reads git's settings as far as these go: where the owner's own file of patterns is, and whether case counts.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import Final

# Files of people have a few hundred lines; each byte of patterns costs time for every name in the tree.
MAX_BYTES: Final = 128 << 10
# Of files that are none, git makes none either.
_NONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_DOT_GIT: Final = ".git"
# Settings may include others, and those themselves; a tree's own are a stranger's.
_MOST_FILES: Final = 32
_SECTION: Final = re.compile(r"\[[ \t]*([A-Za-z0-9.-]{1,100})[ \t]*(\"(?:[^\"\\\n]|\\.){0,1000}\")?[ \t]*\][ \t]*")
_SETTING: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,100})[ \t]*(?:=[ \t]*(.*))?", re.DOTALL)
_VALUE: Final = re.compile(r"\\(.)|(\")|([#;])|([^\\\"#;]+)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "b": "\b"}
_TRUE: Final = frozenset({"true", "yes", "on", "1"})


class CannotHeed(Exception):
    """An ignore file is there and its patterns cannot be known. The text says why, in the reader's words."""


@dataclasses.dataclass(frozen=True, slots=True)
class TreeRules:
    """Contents of the files whose patterns hold in a whole work tree, the weaker first; whether case counts."""

    contents: tuple[bytes, ...] = ()
    any_case: bool = False


class WorkTrees:
    """Work trees as git sees them for the person with this environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ: Final = environ

    def rules_of(self, top: str) -> TreeRules:
        """The rules of the work tree whose top is this directory. Raises CannotHeed."""
        place = _git_directory(os.path.join(top, _DOT_GIT))
        settings = dict(self._settings(os.path.join(place, "config")))
        named = settings.get("core.excludesfile")
        owns = self._in_config("ignore") if named is None else named and os.path.join(top, self._below_home(named))
        files = (owns, os.path.join(place, "info", "exclude"))
        made = tuple(content for file in files if file and (content := content_of(file, links=True)))
        return TreeRules(made, settings.get("core.ignorecase", "").lower() in _TRUE)

    def _settings(self, of_tree: str) -> Iterator[tuple[str, str]]:
        """Settings from the system's to the work tree's; of the same name the last one counts."""
        owns = self._environ.get("GIT_CONFIG_GLOBAL")
        homes = [owns] if owns is not None else [self._in_config("config"), self._below_home("~/.gitconfig")]
        seen: set[str] = set()
        for file in (self._environ.get("GIT_CONFIG_SYSTEM", "/etc/gitconfig"), *homes, of_tree):
            yield from self._settings_in(file, seen)

    def _settings_in(self, file: str, seen: set[str]) -> Iterator[tuple[str, str]]:
        """The settings of a file and of those that it includes, none of which is among the `seen` ones."""
        file = os.path.normpath(file)
        if file in seen or len(seen) >= _MOST_FILES:
            return
        seen.add(file)
        try:
            content = content_of(file, links=True)
        except CannotHeed:
            # Of somebody else, or no settings.
            return
        for name, value in _settings(content.decode("utf-8", "surrogateescape")):
            if name == "include.path":
                yield from self._settings_in(os.path.join(os.path.dirname(file), self._below_home(value)), seen)
            else:
                yield name, value

    def _below_home(self, path: str) -> str:
        home = self._environ.get("HOME", "")
        return os.path.join(home, path[2:]) if home and path.startswith("~/") else path

    def _in_config(self, name: str) -> str:
        folder = self._environ.get("XDG_CONFIG_HOME") or self._below_home("~/.config")
        return os.path.join(folder, "git", name) if os.path.isabs(folder) else ""


def is_top(directory: str) -> bool:
    """Tells whether a directory looks like the top of a work tree."""
    return os.path.lexists(os.path.join(directory, _DOT_GIT))


def is_real_top(directory: str) -> bool:
    """Tells whether git takes it for one, too: for what is called `.git` and is no repository it looks further up."""
    return os.path.lexists(os.path.join(_git_directory(os.path.join(directory, _DOT_GIT)), "HEAD"))


def _git_directory(dot_git: str) -> str:
    """The directory of `info/exclude`: of a linked work tree or a submodule, `.git` is a file that names it."""
    if os.path.isdir(dot_git):
        return dot_git
    said = os.fsdecode(content_of(dot_git)).strip()
    if not said.startswith("gitdir:"):
        return dot_git
    found = os.path.join(os.path.dirname(dot_git), said.removeprefix("gitdir:").strip())
    common = os.fsdecode(content_of(os.path.join(found, "commondir"))).strip()
    return os.path.join(found, common) if common else found


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """Names, in small letters with that of their section, and values."""
    section = ""
    for line in text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\\\n", "").split("\n"):
        rest = line.strip()
        if (found := _SECTION.match(rest)) is not None:
            # A part of a section, as of a remote, has settings of its own.
            section, rest = f"{found[1]}{found[2] or ''}".lower(), rest[found.end() :]
        if (setting := _SETTING.fullmatch(rest)) is not None:
            yield f"{section}.{setting[1].lower()}", "true" if setting[2] is None else _value(setting[2])


def _value(text: str) -> str:
    made, quoted = [], False
    for found in _VALUE.finditer(text):
        escaped, quote, comment, plain = found.groups()
        if comment and not quoted:
            break
        if quote:
            quoted = not quoted
        else:
            made.append(_ESCAPED.get(escaped, escaped) if escaped else comment or plain)
    return "".join(made).strip()


def content_of(path: str, directory: int | None = None, *, links: bool = False) -> bytes:
    """The bytes of a regular file; nothing of any other. Raises CannotHeed."""
    name = os.path.basename(path)
    try:
        # A FIFO of this name must not be waited for.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
        fd = os.open(path, flags, dir_fd=directory)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return b""
            content = b"".join(_blocks(fd))
        finally:
            os.close(fd)
    except ValueError:
        return b""
    except OSError as error:
        if error.errno in _NONE:
            return b""
        raise CannotHeed(f"{name} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(content) > MAX_BYTES:
        raise CannotHeed(f"{name} has more than {MAX_BYTES >> 10} kB")
    return content


def _blocks(fd: int) -> Iterator[bytes]:
    """Blocks of a file, up to a little more than is taken."""
    left = MAX_BYTES + 1
    while left and (block := os.read(fd, left)):
        left -= len(block)
        yield block
