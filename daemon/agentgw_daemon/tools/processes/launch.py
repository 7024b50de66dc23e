"""Programs that a call would start: found once, looked at, and started by the path that was looked at.

A word is looked for in the absolute entries of PATH; a relative one would mean another program in each directory. What
an approval of it is for: the program by real path, inode and digest, the interpreters of a script, and the files that
an interpreter is given, for they are the program then. What a program reads by itself (a Makefile, a library) is not
looked at. Blocking; for threads of `in_file_thread`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator, Sequence
from typing import Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.system.beneath import FILE, real_path
from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.tool import CallFailed, explain

# A larger file counts by its inode, size and times: nobody waits seconds for a question.
MAX_DIGEST_BYTES: Final = 256 << 20
_BLOCK_BYTES: Final = 1 << 20
# As much of the first line as Linux reads, and how many scripts may be each other's interpreter (execve(2)).
_HEAD_BYTES: Final = 256
_MOST_INTERPRETERS: Final = 4
# Linux takes no longer word, nor a NUL in it (execve(2), MAX_ARG_STRLEN).
MAX_WORD_BYTES: Final = (128 << 10) - 1
_VERSION: Final = re.compile(r"[\d.]+$")
# They do what the file says that they are given first.
_INTERPRETERS: Final = frozenset(
    {
        "sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "python", "pypy", "perl", "ruby",
        "node", "nodejs", "deno", "bun", "php", "lua", "luajit", "tclsh", "wish", "expect", "rscript", "julia",
        "osascript", "java", "elixir", "escript", "guile", "racket", "sbcl", "groovy", "scala", "kotlin", "pwsh", "go",
        "uv", "yash", "osh", "nu", "elvish", "xonsh", "ipython", "tsx", "ts-node", "raku", "swift", "dart", "ocaml",
        "octave", "gnuplot", "jshell", "crystal", "runhaskell", "runghc", "just", "ansible-playbook",
    }
)  # fmt: skip
# Of those, they take a line of words behind an option that ends in c; env takes one behind -S.
_SHELLS: Final = frozenset({
    "sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "yash", "osh", "su", "script",
})  # fmt: skip
_SHELL_LINE: Final = re.compile(r"-[a-zA-Z]*c|--command")
_ENV_LINE: Final = re.compile(r"-[a-zA-Z]*S|--split-string")
# They do what a file says that they are given with `-f`; their other files are data.
_READERS: Final = frozenset({"awk", "gawk", "mawk", "nawk", "sed", "make", "gmake", "ninja", "psql"})
_READS: Final = ("-f", "--file", "--makefile")
# They run another program, which they are given as a word.
_WRAPPERS: Final = frozenset(
    {
        "env", "nice", "ionice", "nohup", "timeout", "time", "xargs", "parallel", "find", "fd", "sudo", "doas",
        "setsid",
        "stdbuf", "watch", "strace", "ltrace", "chroot", "unshare", "flock", "taskset", "setarch", "chrt", "uv", "pipx",
        "npx", "entr", "gdb", "valgrind", "busybox", "toybox", "su", "runuser", "script", "systemd-run",
        "dbus-run-session", "xvfb-run", "fakeroot", "faketime", "prlimit", "numactl", "rlwrap", "unbuffer", "hyperfine",
        "bwrap", "firejail", "proxychains", "torsocks", "gosu", "tini", "dumb-init", "poetry", "pdm", "hatch", "bundle",
        "mise", "direnv",
    }
)  # fmt: skip
# A line that a shell is given begins like the words behind env: with variables, or a program.
_OF_A_LINE: Final = frozenset({"env"})
# The program in a directory that is given to Python.
_MAIN: Final = "__main__.py"
# Files of these names are looked at wherever an interpreter is given them.
_CODE: Final = (".py", ".sh", ".bash", ".js", ".mjs", ".cjs", ".ts", ".pl", ".rb", ".php", ".lua", ".jar", ".r", ".go")


@record
class FileSeen:
    """A file as it was looked at. `thing` says which it is, for an approval; `state` changes when the file does."""

    path: str
    real: str
    thing: str
    state: tuple[int, ...]
    head: bytes

    def is_unchanged(self) -> bool:
        """Tells whether the path still leads to that file, and nothing was written to it."""
        try:
            return _state(os.stat(self.path)) == self.state
        except OSError:
            return False


@record
class Launch:
    """A program to start as `path`, and what an approval of that is for."""

    path: str
    # The program and what interprets it.
    programs: tuple[FileSeen, ...]
    # The arguments and interpreters that it is given.
    files: tuple[FileSeen, ...]

    @property
    def real(self) -> str:
        """The program's path without links."""
        return self.programs[0].real

    @property
    def things(self) -> tuple[str, ...]:
        """See `CallPreview.things`."""
        return tuple(dict.fromkeys(file.thing for file in (*self.programs, *self.files)))

    def is_unchanged(self) -> bool:
        """Tells whether the programs are still what their paths lead to. The files are the program's own to
        change.
        """
        return all(program.is_unchanged() for program in self.programs)


def launch_of(argv: Sequence[str], path: str, cwd: str) -> Launch:
    """The program of the first word, started in `cwd` with `path` as PATH. Raises CallFailed when there is none."""
    found = find_program(argv[0], path, cwd)
    if found is None:
        raise CallFailed(f"{visible_line(argv[0])} cannot be run: {_why_not(argv[0], cwd)}")
    if any(len(os.fsencode(word)) > MAX_WORD_BYTES for word in argv):
        raise CallFailed(f"argv: no word may have more than {MAX_WORD_BYTES} bytes; write it to a file")
    program = seen(found, "program")
    programs = (program, *_interpreters(program, path, cwd))
    return Launch(path=found, programs=programs, files=tuple(_named(argv[1:], _names(program), path, cwd)))


def find_program(word: str, path: str, cwd: str) -> str | None:
    """The absolute path of the program that the word means."""
    if "/" in word:
        return shutil.which(os.path.normpath(os.path.join(cwd, word)) if not word.startswith("/") else word)
    return shutil.which(word, path=path) if word else None


def _why_not(word: str, cwd: str) -> str:
    path = os.path.join(cwd, word)
    if "/" not in word or not os.path.exists(path):
        return "there is no such program"
    return "it is a directory" if os.path.isdir(path) else "it is not executable"


def seen(path: str, what: str) -> FileSeen:
    """The file as it is. Raises CallFailed when it cannot be looked at or is no file."""
    try:
        fd = os.open(path, FILE | os.O_CLOEXEC)
    except PermissionError:
        # A program may be runnable and not readable.
        return _unread(path, what)
    except OSError as error:
        raise CallFailed(f"{visible_line(path)} cannot be used: {explain(error)}") from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise CallFailed(f"{visible_line(path)} is not a regular file")
        head = os.pread(fd, _HEAD_BYTES, 0)
        digest = _digest(fd) if status.st_size <= MAX_DIGEST_BYTES else _large(status)
        real = str(real_path(fd))
    finally:
        os.close(fd)
    thing = f"{what} {real} {status.st_ino} {digest}"
    return FileSeen(path=path, real=real, thing=thing, state=_state(status), head=head)


def _unread(path: str, what: str) -> FileSeen:
    try:
        real = os.path.realpath(path, strict=True)
        status = os.stat(real)
    except OSError as error:
        raise CallFailed(f"{visible_line(path)} cannot be used: {explain(error)}") from None
    thing = f"{what} {real} {status.st_ino} {_large(status)}"
    return FileSeen(path=path, real=real, thing=thing, state=_state(status), head=b"")


def _state(status: os.stat_result) -> tuple[int, ...]:
    # The time of the last change of the inode cannot be set back by whoever writes to the file.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _large(status: os.stat_result) -> str:
    return f"{status.st_size},{status.st_mtime_ns},{status.st_ctime_ns}"


def _digest(fd: int) -> str:
    made = hashlib.sha256()
    while block := os.read(fd, _BLOCK_BYTES):
        trio.from_thread.check_cancelled()
        made.update(block)
    return made.hexdigest()


def _interpreters(program: FileSeen, path: str, cwd: str) -> Iterator[FileSeen]:
    """Programs that run the program if it is a script, by its first line."""
    for _ in range(_MOST_INTERPRETERS):
        words = _first_line(program)
        if not words:
            return
        interpreter = os.path.join(cwd, words[0])
        if shutil.which(interpreter) is None:
            raise CallFailed(
                f"{visible_line(program.path)} cannot be run: its interpreter {visible_line(words[0])} is not there"
            )
        program = seen(interpreter, "interpreter")
        yield program
        if os.path.basename(interpreter) == "env":
            for word in words[1:]:
                if (found := find_program(word, path, cwd)) is not None:
                    yield seen(found, "interpreter")
                    break


def _first_line(file: FileSeen) -> list[str]:
    if not file.head.startswith(b"#!"):
        return []
    return os.fsdecode(file.head[2:].split(b"\n", 1)[0]).split()


def _names(program: FileSeen) -> frozenset[str]:
    """The names of the program without its version, by the path that was found and by the real one."""
    return frozenset(_VERSION.sub("", os.path.basename(one)).lower() for one in (program.path, program.real))


def _named(words: Sequence[str], names: frozenset[str], path: str, cwd: str) -> Iterator[FileSeen]:
    """The files among the words that a program of these names would run."""
    left, before = MAX_DIGEST_BYTES, ""
    # Until the interpreter has its script: what follows is mostly data.
    first = True
    for word in words:
        option, named = _taken_apart(word, names)
        asked = option or before
        if _is_line(asked, names):
            yield from _named(_words_of(named), _OF_A_LINE, path, cwd)
            # What follows are the words that the line is given.
            first = False
        file = os.path.join(cwd, named)
        if names & _INTERPRETERS and first and os.path.isfile(os.path.join(file, _MAIN)):
            file, named = os.path.join(file, _MAIN), _MAIN
        if named and os.path.isfile(file):
            runs = bool(names & _INTERPRETERS) and (first or named.lower().endswith(_CODE))
            runs = runs or (bool(names & _READERS) and asked in _READS) or os.access(file, os.X_OK)
            if runs:
                left -= os.stat(file).st_size
                if left < 0:
                    raise CallFailed("argv: the files that it names are too large to be looked at")
                yield seen(file, "file")
            # One behind an option may be the option's.
            first = first and asked.startswith("-")
        elif names & _WRAPPERS and "/" not in named and (found := find_program(named, path, cwd)) is not None:
            program = seen(found, "program")
            yield program
            names |= _names(program)
        before = word


def _taken_apart(word: str, names: frozenset[str]) -> tuple[str, str]:
    """The option and what it names, of `--file=x` or `-fx`; other words name themselves."""
    if word.startswith("-f") and len(word) > 2 and names & _READERS:
        return "-f", word[2:]
    option, _, value = word.partition("=") if word.startswith("-") else ("", "", "")
    return (option, value) if value else ("", word)


def _is_line(option: str, names: frozenset[str]) -> bool:
    """Tells whether a line of words stands behind this option, for a program of these names to run."""
    return bool(
        (names & _SHELLS and _SHELL_LINE.fullmatch(option)) or ("env" in names and _ENV_LINE.fullmatch(option))
    )  # fmt: skip


def _words_of(line: str) -> list[str]:
    """The words of a line as a shell cuts them; of one that it would refuse, those between blanks."""
    line = line.replace("`", " ")
    cutting = shlex.shlex(line, posix=True, punctuation_chars=True)
    cutting.whitespace_split = True
    cutting.commenters = ""
    try:
        return list(cutting)
    except ValueError:
        return line.split()
