"""Names that lead out do not open, whoever resolves them and whatever moves meanwhile."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agentgw_daemon.system import beneath
from agentgw_daemon.system.beneath import DIRECTORY, FILE, MAX_LINKS, open_by_kernel, open_by_steps, real_path
from tests.system.racing import racer
from tests.system.roots import SECRET, make_root

Open = Callable[..., int]

WAYS = [
    pytest.param(
        open_by_kernel, id="kernel", marks=pytest.mark.skipif(not beneath.has_openat2(), reason="no openat2 here")
    ),
    pytest.param(open_by_steps, id="steps"),
]


@contextmanager
def held(path: Path) -> Iterator[int]:
    fd = os.open(path, DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def read(way: Open, root: Path, name: str, *, links: bool = True) -> bytes:
    with held(root) as fd, open(way(fd, name, FILE, links=links), "rb") as file:
        return file.read()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture
def tree(root: Path) -> Path:
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "sub" / "file").write_text("inner")
    (root / "file").write_text("outer")
    links = {
        "esc": "/etc", "passwd": "../../../../../../../../etc/passwd", "up": "..", "sibling": "../root-evil",
        "inner": "sub/file", "dir": "sub", "dangling": "nowhere", "loop": "loop", "sub/back": "../file",
        "sub/deep/out": "../../../secret.txt", "absolute": str(root / "file"), "chain": "dir/back", "dot": ".",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt", "..", "../root-evil/secret.txt", "sub/../../secret.txt", "/etc/passwd", "esc/passwd", "passwd",
        "up/secret.txt", "sibling/secret.txt", "sub/deep/out", "dir/deep/out", "absolute", "dot/../../secret.txt",
        "sub/deep/../../../root/file",
    ],
)  # fmt: skip
def test_a_name_that_leads_out_is_exdev(way: Open, tree: Path, name: str) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        read(way, tree, name)
    assert caught.value.errno == errno.EXDEV


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("file", b"outer"), ("inner", b"inner"), ("dir/file", b"inner"), ("sub/back", b"outer"), ("chain", b"outer"),
        ("sub/../file", b"outer"), ("sub/deep/../../file", b"outer"), (".//sub/./file", b"inner"),
        ("dot/file", b"outer"),
    ],
)  # fmt: skip
def test_a_name_that_stays_inside_opens(way: Open, tree: Path, name: str, text: bytes) -> None:
    assert read(way, tree, name) == text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "number"),
    [("dangling", errno.ENOENT), ("nowhere", errno.ENOENT), ("loop", errno.ELOOP), ("file/x", errno.ENOTDIR)],
)
def test_other_failures_keep_their_numbers(way: Open, tree: Path, name: str, number: int) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        read(way, tree, name)
    assert caught.value.errno == number


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["inner", "dir/file", "sub/back", "dot"])
def test_without_links_every_link_is_eloop(way: Open, tree: Path, name: str) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        read(way, tree, name, links=False)
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("way", WAYS)
def test_a_long_chain_of_links_ends(way: Open, root: Path) -> None:
    (root / "0").write_text("end")
    for number in range(1, MAX_LINKS + 2):
        (root / str(number)).symlink_to(str(number - 1))
    assert read(way, root, str(MAX_LINKS)) == b"end"
    with pytest.raises(OSError) as caught:  # noqa: PT011
        read(way, root, str(MAX_LINKS + 1))
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [".", "sub/.."])
def test_the_root_itself_opens(way: Open, tree: Path, name: str) -> None:
    with held(tree) as fd:
        opened = way(fd, name, DIRECTORY)
        assert os.path.samestat(os.fstat(opened), os.fstat(fd))
        os.close(opened)


@pytest.mark.parametrize("way", WAYS)
def test_no_descriptor_is_left(way: Open, tree: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    for name in ("chain", "../secret.txt", "loop", "sub/deep/../../file", "nowhere/x"):
        with suppress(OSError):
            read(way, tree, name)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.skipif(not beneath.has_openat2(), reason="magic links are Linux's")
def test_links_of_proc_are_not_followed(tmp_path: Path) -> None:
    with held(Path("/")) as root, pytest.raises(OSError) as caught:  # noqa: PT011
        open_by_kernel(root, f"proc/{os.getpid()}/root/etc/passwd", FILE)
    assert caught.value.errno in (errno.ELOOP, errno.EXDEV)


def test_the_walk_takes_over_where_the_kernel_lacks_the_call(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "has_openat2", lambda: False)
    monkeypatch.setattr(beneath, "open_by_kernel", None)
    with held(tree) as fd, open(beneath.open_beneath(fd, "inner", FILE), "rb") as file:
        assert file.read() == b"inner"


def test_the_real_path_of_a_descriptor_has_no_links(tree: Path) -> None:
    with beneath.opened(tree, "chain", FILE) as fd:
        assert real_path(fd) == tree / "file"


def race(way: Open, root: Path, rounds: int) -> set[str]:
    """The contents that could be read while the racer ran."""
    seen: set[str] = set()
    with racer(root):
        for _ in range(rounds):
            try:
                seen.add(read(way, root, "swap/secret.txt").decode())
            except OSError as error:
                seen.add(errno.errorcode[error.errno or 0])
    return seen


@pytest.mark.parametrize("way", WAYS)
def test_a_racer_gets_nobody_out(way: Open, root: Path) -> None:
    seen = race(way, root, 2_000)
    # The race was one: both states were met.
    assert {"harmless", "EXDEV"} <= seen
    assert SECRET not in seen


@pytest.mark.chaos
@pytest.mark.parametrize("way", WAYS)
def test_a_racer_gets_nobody_out_of_a_hundred_thousand(way: Open, root: Path) -> None:
    assert SECRET not in race(way, root, 100_000)
