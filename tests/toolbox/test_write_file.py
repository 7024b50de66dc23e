"""Files are written whole, inside the roots, and never over what was not looked at (TRUST E1, E2, E3, E6)."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from agentgw_daemon.tools import beneath, replacing
from agentgw_daemon.tools.places import place_of
from agentgw_daemon.tools.tool import MAX_DIFF_CHARS, CallFailed, ToolContext
from agentgw_daemon.tools.write_file import EDIT_FILE, WRITE_FILE
from tests.toolbox.calling import call, content, failure, preview
from tests.toolbox.conftest import SECRET
from tests.toolbox.racing import racer

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["kernel", "steps"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test with both ways of opening."""
    if request.param == "steps":
        monkeypatch.setattr(beneath, "has_openat2", lambda: False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".agentgw"}


async def test_a_file_is_made_with_its_directories(context: ToolContext, root: Path) -> None:
    root.chmod(0o755)
    assert await content(WRITE_FILE, context, path="a/b/c.txt", content="ä\n") == f"wrote {root}/a/b/c.txt (3 bytes)"
    assert (root / "a/b/c.txt").read_bytes() == "ä\n".encode()
    assert stat.S_IMODE((root / "a/b/c.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o755
    assert names(root / "a/b") == {"c.txt"}


async def test_a_private_directory_gets_private_files(context: ToolContext, root: Path) -> None:
    root.chmod(0o700)
    await content(WRITE_FILE, context, path="a/b.txt", content="")
    assert stat.S_IMODE((root / "a/b.txt").stat().st_mode) == 0o600


async def test_an_existing_file_is_replaced_only_when_told_and_keeps_its_mode(context: ToolContext, root: Path) -> None:
    (root / "a.sh").write_text("old")
    (root / "a.sh").chmod(0o750)
    assert "exists" in await failure(WRITE_FILE, context, path="a.sh", content="new")
    assert (root / "a.sh").read_text() == "old"
    await content(WRITE_FILE, context, path="a.sh", content="new", overwrite=True)
    assert (root / "a.sh").read_text() == "new"
    assert stat.S_IMODE((root / "a.sh").stat().st_mode) == 0o750
    assert names(root) == {"a.sh"}


async def test_a_passage_is_replaced_when_it_is_there_once(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_bytes(b"one\r\ntwo\r\none\r\n")
    assert "2 times" in await failure(EDIT_FILE, context, path="a.txt", old="one", new="1")
    assert "is not in the file" in await failure(EDIT_FILE, context, path="a.txt", old="three", new="3")
    await content(EDIT_FILE, context, path="a.txt", old="two", new="2")
    await content(EDIT_FILE, context, path="a.txt", old="one", new="1", all=True)
    assert (root / "a.txt").read_bytes() == b"1\r\n2\r\n1\r\n"
    assert "does not exist" in await failure(EDIT_FILE, context, path="b.txt", old="x", new="y")
    assert "no such file" in await failure(EDIT_FILE, context, path="gone/b.txt", old="x", new="y")
    assert names(root) == {"a.txt"}


async def test_only_text_is_edited_and_nothing_huge_comes_of_it(context: ToolContext, root: Path) -> None:
    (root / "a.bin").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in await failure(EDIT_FILE, context, path="a.bin", old="x", new="y")
    (root / "a.txt").write_text("x" * 100_000)
    assert "more than" in await failure(EDIT_FILE, context, path="a.txt", old="x", new="y" * 1000, all=True)


@pytest.mark.parametrize(
    "path", ["../new.txt", "/etc/agentgw-was-here", "../root-evil/new.txt", "sub/../../new.txt", "~/new.txt", "."]
)
async def test_nothing_is_written_outside_of_the_roots(context: ToolContext, root: Path, path: str) -> None:
    await failure(WRITE_FILE, context, path=path, content="x")
    assert not Path("/etc/agentgw-was-here").exists()
    assert names(root.parent) == {"root", "root-evil", "secret.txt", "home"}
    assert names(root.parent / "root-evil") == {"secret.txt"}


async def test_no_link_is_written_through(context: ToolContext, root: Path) -> None:
    (root / "parent").symlink_to("../root-evil")
    (root / "file").symlink_to("../secret.txt")
    (root / "dangling").symlink_to("../new.txt")
    (root / "inner").symlink_to("real")
    (root / "real").mkdir()
    assert "leads out" in await failure(WRITE_FILE, context, path="parent/new.txt", content="x")
    assert "leads out" in await failure(WRITE_FILE, context, path="parent/more/new.txt", content="x")
    for path in ("file", "dangling"):
        assert "is a link" in await failure(WRITE_FILE, context, path=path, content="x", overwrite=True)
        assert "is a link" in await failure(EDIT_FILE, context, path=path, old="secret", new="x")
    assert (root.parent / "secret.txt").read_text() == SECRET
    assert names(root.parent / "root-evil") == {"secret.txt"}
    # A directory reached by a link that stays inside is fine.
    await content(WRITE_FILE, context, path="inner/new.txt", content="x")
    assert (root / "real/new.txt").read_text() == "x"


async def test_what_is_no_plain_file_of_its_own_is_left_alone(context: ToolContext, root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "one").write_text("x")
    (root / "two").hardlink_to(root / "one")
    (root / "locked").write_text("x")
    (root / "locked").chmod(0o444)
    with open(root / "sparse", "wb") as file:
        file.truncate(1 << 40)
    said = {"fifo": "not a regular file", "two": "2 names", "locked": "read-only", "sparse": f"{1 << 40} bytes"}
    for path, why in said.items():
        assert why in await failure(WRITE_FILE, context, path=path, content="y", overwrite=True)
    assert (root / "one").read_text() == "x"


@pytest.mark.parametrize(
    "path", [".agentgw/config/config.toml", ".agentgw/data/new", "way/new", ".ssh/authorized_keys", "tls.KEY"]
)
async def test_our_own_files_and_keys_are_not_written(context: ToolContext, root: Path, path: str) -> None:
    (root / "way").symlink_to(".agentgw/config")
    assert "no tool may touch it" in await failure(WRITE_FILE, context, path=path, content="x", overwrite=True)
    assert (root / ".agentgw/config/config.toml").read_text() == "key = 'own secret'\n"
    assert names(root) == {"way"}


@pytest.mark.parametrize("path", [".git/hooks/pre-commit", ".git", ".GIT/config", "sub/.git/config"])
async def test_what_git_runs_later_is_not_written(context: ToolContext, root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    assert "git's own" in await failure(WRITE_FILE, context, path=path, content="x")


async def test_a_change_by_somebody_else_meanwhile_is_not_lost(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.txt").write_text("old")

    def also_theirs(fd: int) -> None:
        (root / "a.txt").write_text("theirs")

    monkeypatch.setattr(replacing.os, "fsync", also_theirs)
    assert "changed meanwhile" in await failure(EDIT_FILE, context, path="a.txt", old="old", new="ours")
    assert (root / "a.txt").read_text() == "theirs"
    assert names(root) == {"a.txt"}


async def test_a_file_that_appears_meanwhile_is_not_overwritten(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing.os, "fsync", lambda fd: (root / "a.txt").write_text("theirs"))
    assert "file exists" in await failure(WRITE_FILE, context, path="a.txt", content="ours")
    assert (root / "a.txt").read_text() == "theirs"
    assert names(root) == {"a.txt"}


async def test_the_approval_shows_the_change_with_its_escapes(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_text("one\ntwo\n")
    shown = await preview(EDIT_FILE, context, path="a.txt", old="two", new="2\x1b[2J\rthree")
    assert shown.title == f"Edit {root}/a.txt"
    assert shown.diff is not None
    assert "-two\n+2\\x1b[2J\\x0dthree" in shown.diff
    shown = await preview(WRITE_FILE, context, path="new/b.txt", content="x\ny")
    assert shown.title == f"Create {root}/new/b.txt"
    assert shown.diff == f"--- /dev/null\n+++ {root}/new/b.txt\n+x\n+y"
    shown = await preview(WRITE_FILE, context, path="a.txt", content="one\ntwo", overwrite=True)
    assert shown.title == f"Overwrite {root}/a.txt"
    # Looking changes nothing.
    assert names(root) == {"a.txt"}


async def test_a_call_that_cannot_succeed_asks_nobody(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_text("x")
    for tool, arguments in (
        (WRITE_FILE, {"path": "a.txt", "content": "y"}),
        (WRITE_FILE, {"path": "../a.txt", "content": "y"}),
        (EDIT_FILE, {"path": "a.txt", "old": "z", "new": "y"}),
    ):
        with pytest.raises(CallFailed):
            await preview(tool, context, **arguments)


async def test_a_huge_change_is_shown_as_far_as_anybody_reads(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_text("x\n" * 100_000)
    shown = await preview(WRITE_FILE, context, path="a.txt", content="y\n" * 100_000, overwrite=True)
    assert shown.diff is not None
    assert len(shown.diff) < MAX_DIFF_CHARS + 100
    assert "more characters are not shown" in shown.diff


def race(context: ToolContext, root: Path, rounds: int) -> int:
    """How many files were written while the racer ran; none of them is outside."""
    written = 0
    with racer(root):
        for number in range(rounds):
            with suppress(CallFailed, OSError):
                place = place_of(f"swap/{number}", context)
                with replacing.open_parent(place, context, make=False) as parent:
                    replacing.replace(parent, str(number), "x", None)
                    written += 1
    assert names(root.parent / "root-evil") == {"secret.txt"}
    assert len(names(root / "swap")) == written + 1
    return written


async def test_a_racer_gets_no_file_written_outside(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing.os, "fsync", lambda fd: None)
    assert 0 < race(context, root, 2_000) < 2_000


@pytest.mark.chaos
async def test_a_racer_gets_no_file_written_outside_in_a_hundred_thousand(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing.os, "fsync", lambda fd: None)
    assert race(context, root, 100_000)


async def test_a_directory_of_ours_that_is_not_there_yet_is_not_made(context: ToolContext, root: Path) -> None:
    (root / ".agentgw/run").rmdir()
    assert "no tool may touch it" in await failure(WRITE_FILE, context, path=".agentgw/run/x/y", content="x")
    assert not (root / ".agentgw/run").exists()


async def test_results_of_writing_are_our_own_words(context: ToolContext) -> None:
    assert not (await call(WRITE_FILE, context, path="a", content="x")).untrusted
