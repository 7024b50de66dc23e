"""Patterns of ignore files, held against git itself where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_daemon.knowledge.ingest.patterns import Patterns, parsed

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

TOKENS = (
    "a", "b", "c", "ab", "A", "0", "é", ".", "-", " ", "#", "!", "]", "/", "/", "*", "*", "?", "**", "***", "**/",
    "/**", "/**/", "*/", "\\", "\\*", "\\ ", "\\/", "[", "[ab]", "[!a]", "[^b]", "[a-c]", "[b-a]", "[a-]", "[]a]",
    "[a\\]b]", "[c-\\d]", "[/]", "[!/]", "[[:alpha:]]", "[[:upper:]0]", "[[:space:]]", "[[:punct:]]", "[![:alnum:]]",
    "[[:x:]]", "[[:]a]", "{a,b}", "\r", "\0",
)  # fmt: skip
NAMES = (
    b"a", b"b", b"c", b"ab", b"A", b"0", b"\xc3\xa9", b"*", b"?", b"[", b"]", b"-", b"\\", b" ", b"!", b"#", b".",
    b"\t", b"\x0b", b"\n", b"\r", b"\x7f", b"\xff", b"{a,b}",
)  # fmt: skip
lines = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=7).map("".join)
contents = st.builds(
    lambda bom, made: (b"\xef\xbb\xbf" if bom else b"") + "\n".join(made).encode(),
    st.booleans(), st.lists(st.one_of(lines, lines.map("!".__add__)), min_size=1, max_size=4),
)  # fmt: skip
# The kernel has no other names than these, and git none that are its own.
one_name = (
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)
    .map(b"".join)
    .filter(lambda name: name not in (b".", b".."))
)
paths = st.lists(one_name, min_size=1, max_size=4).map(b"/".join)


def decided(content: bytes, path: bytes, *, any_case: bool = False) -> bool:
    """Tells whether a file of this path is left out, its folders being asked first."""
    patterns, parts = Patterns(parsed(content, any_case=any_case)), path.split(b"/")
    folders = [b"/".join(parts[:count]) for count in range(1, len(parts))]
    return any(patterns.decide(one, is_directory=True) for one in folders) or bool(
        patterns.decide(path, is_directory=False)
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(("git", "-C", str(folder), "init", "-q"), check=True)
    return folder


def git_decides(repository: Path, content: bytes, asked: Sequence[bytes], *, any_case: bool = False) -> list[bool]:
    """The same, by `git check-ignore`, which needs no files. It takes a path that begins with a colon otherwise."""
    (repository / ".gitignore").write_bytes(content)
    case = f"core.ignoreCase={str(any_case).lower()}"
    done = subprocess.run(
        ("git", "-C", str(repository), "-c", case, "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin"),
        env=os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"},
        input=b"".join(path + b"\0" for path in asked), capture_output=True,
    )  # fmt: skip
    fields = done.stdout.split(b"\0")[:-1]
    assert len(fields) == 4 * len(asked), done.stderr
    return [bool(fields[at]) and not fields[at + 2].startswith(b"!") for at in range(0, len(fields), 4)]


@needs_git
@settings(deadline=None, max_examples=100)
@given(content=contents, asked=st.lists(paths, min_size=30, max_size=60, unique=True))
def test_any_patterns_leave_out_what_git_ignores(repository: Path, content: bytes, asked: list[bytes]) -> None:
    assert [decided(content, path) for path in asked] == git_decides(repository, content, asked)


CASED = (
    "a", "A", "b", "B", "ab", "aB", "é", "É", ".", "/", "*", "?", "**/", "[a]", "[A]", "[!A]", "[a-c]", "[A-C]",
    "[!A-C]", "[Z-a]", "[[:upper:]]", "[[:lower:]]", "[![:upper:]]", "[[:alpha:]0]",
)  # fmt: skip
CASED_NAMES = (b"a", b"A", b"b", b"B", b"0", b"_", b"\xc3\xa9", b"\xc3\x89")
cased_names = st.lists(st.sampled_from(CASED_NAMES), min_size=1, max_size=3)


@needs_git
@settings(deadline=None, max_examples=50)
@given(
    made=st.lists(st.lists(st.sampled_from(CASED), min_size=1, max_size=4).map("".join), min_size=1, max_size=3),
    asked=st.lists(cased_names.map(b"".join), min_size=20, max_size=40, unique=True),
)
def test_patterns_of_any_case_leave_out_what_git_ignores(repository: Path, made: list[str], asked: list[bytes]) -> None:
    content = "\n".join(made).encode()
    expected = git_decides(repository, content, asked, any_case=True)
    assert [decided(content, path, any_case=True) for path in asked] == expected


@pytest.mark.parametrize(
    ("content", "path", "expected"),
    [
        ("*.log", "a/b.log", True),
        ("/*.log", "a/b.log", False),
        ("a/*.log", "a/b/c.log", False),
        ("a/**/c.log", "a/c.log", True),
        ("a/**/c.log", "a/b/b/c.log", True),
        ("**/b", "a/b", True),
        ("a/**", "a", False),
        ("a/**", "a/b/c", True),
        ("build/", "a/build/c", True),
        ("build/", "build", False),
        ("\\#a", "#a", True),
        ("\\!a", "!a", True),
        ("a  ", "a", True),
        ("a\\ ", "a ", True),
        ("a\\ ", "a", False),
        ("a\r", "a", True),
        ("[!a-c]x", "dx", True),
        ("[!a-c]x", "bx", False),
        ("[[:digit:]]", "7", True),
        ("[[:nothing:]]", ":", False),
        ("a\\", "a", False),
        ("a[", "a[", False),
        ("é?", "éa", True),
        ("*\n!*.c", "a.c", False),
        ("!*.c\n*", "a.c", True),
        ("", "a", False),
        ("#a", "#a", False),
        ("\n\n!\n/\n//\n", "a", False),
    ],
)
def test_patterns_mean_what_gitignore_says(content: str, path: str, expected: bool) -> None:
    assert decided(content.encode(), path.encode()) is expected


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert decided(b"\xef\xbb\xbfsecret.txt\n", b"secret.txt")
    assert decided("\ufeff# a comment\n".encode(), b"a") is False


def test_only_a_line_feed_ends_a_line() -> None:
    assert decided(b"a\x0bb\x0cc\xe2\x80\xa8d\n", b"a\x0bb\x0cc\xe2\x80\xa8d")
    assert not decided(b"a\x0bb\n", b"b")


class Steps:
    """Counts what an automaton looks at in the place of a name."""

    def __init__(self, name: bytes) -> None:
        self.name, self.count = name, 0

    def rpartition(self, separator: bytes) -> tuple[bytes, bytes, Steps]:
        """Cuts as bytes do."""
        return b"", b"", self

    def __iter__(self) -> Steps:
        self._left = iter(self.name)
        return self

    def __next__(self) -> int:
        self.count += 1
        return next(self._left)


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*a*a*a*a*a*b", "x/" + "**/*a*/" * 40 + "b", "*" * 4000 + "b"])
def test_each_byte_of_a_name_is_looked_at_once_per_kind_of_pattern(pattern: str) -> None:
    name = Steps(b"a" * 255)
    assert Patterns(parsed(pattern.encode() + b"\n" + pattern.encode())).decide(name, is_directory=False) is None  # type: ignore[arg-type]  # counts
    assert name.count <= 2 * 256
