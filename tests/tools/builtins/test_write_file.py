"""Files are written whole, inside the roots, and never over what was not looked at."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentgw_daemon.system import beneath
from agentgw_daemon.tools.builtins.write_file import EDIT_FILE, MAX_DIFF_LINES, WRITE_FILE
from agentgw_daemon.tools.files import exchanging, replacing
from agentgw_daemon.tools.files.places import place_of
from agentgw_daemon.tools.tool import MAX_DIFF_CHARS, CallFailed, RunnableTool, ToolContext
from tests.system.racing import exchange, racer
from tests.system.roots import SECRET
from tests.tools.calling import call, content, failure, preview

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


async def test_a_change_at_the_very_last_moment_is_not_lost(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quicker(again: bool) -> Callable[[int, str, str], bool]:
        calls = []

        def exchanged(directory: int, one: str, other: str) -> bool:
            calls.append(other)
            if len(calls) == 1 or (again and len(calls) == 2):
                (root / "theirs").write_text(f"theirs {len(calls)}")
                (root / "theirs").rename(root / "a.txt")
            return exchanging.exchange(directory, one, other)

        return exchanged

    for again, kept in ((False, "theirs 1"), (True, "theirs 2")):
        (root / "a.txt").write_text("old")
        monkeypatch.setattr(replacing, "exchange", quicker(again))
        assert "changed meanwhile" in await failure(EDIT_FILE, context, path="a.txt", old="old", new="ours")
        assert (root / "a.txt").read_text() == kept
        assert names(root) == {"a.txt"}


async def test_a_file_is_replaced_where_names_cannot_be_exchanged(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "exchange", lambda *_: False)
    (root / "a.txt").write_text("old")
    await content(EDIT_FILE, context, path="a.txt", old="old", new="new")
    assert (root / "a.txt").read_text() == "new"
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
    assert shown.diff == f"--- /dev/null\n+++ {root}/new/b.txt\n+x\n+y\n\\ No newline at end of file"
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


async def things(context: ToolContext, tool: RunnableTool, **arguments: Any) -> tuple[str, ...]:
    return (await preview(tool, context, **arguments)).things


async def test_a_file_that_was_changed_since_it_was_agreed_to_is_left_alone(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_text("one two")
    edit = {"path": "a.txt", "old": "two", "new": "2"}
    write = {"path": "a.txt", "content": "new", "overwrite": True}
    new = {"path": "b.txt", "content": "new", "overwrite": True}
    agreed = [(tool, one, await things(context, tool, **one)) for tool, one in
              ((EDIT_FILE, edit), (WRITE_FILE, write), (WRITE_FILE, new))]  # fmt: skip
    (root / "a.txt").write_text("three two")
    (root / "b.txt").write_text("theirs")
    for tool, arguments, seen in agreed:
        assert "changed since it was agreed" in await failure(tool, replace(context, agreed=seen), **arguments)
    assert (root / "a.txt").read_text() == "three two"
    assert (root / "b.txt").read_text() == "theirs"
    again = await things(context, EDIT_FILE, **edit)
    await content(EDIT_FILE, replace(context, agreed=again), **edit)
    assert (root / "a.txt").read_text() == "three 2"


async def test_a_directory_that_was_exchanged_since_it_was_agreed_to_is_left_alone(
    context: ToolContext, root: Path
) -> None:
    (root / "one").mkdir()
    (root / "two").mkdir()
    (root / "here").symlink_to("one")
    for path in ("here/a.txt", "here/new/deep/a.txt"):
        arguments = {"path": path, "content": "x"}
        agreed = await things(context, WRITE_FILE, **arguments)
        exchange(root / "one", root / "two")
        # The name leads to another directory, but not by another path: that is the one agreed to.
        assert await things(context, WRITE_FILE, **arguments) == agreed
        (root / "here").unlink()
        (root / "here").symlink_to("two")
        said = await failure(WRITE_FILE, replace(context, agreed=agreed), **arguments)
        assert "changed since it was agreed" in said
        assert names(root / "one") == names(root / "two") == set()
        (root / "here").unlink()
        (root / "here").symlink_to("one")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("new/.git/hooks/post-commit", "git's own"),
        ("new/.ssh/authorized_keys", "no tool may touch"),
        (".agentgw/run/x/y", "no tool may touch"),
        ("out/new/a.txt", "leads out"),
        ("file/new/a.txt", "not a directory"),
        ("two", "2 names"),
        ("new/tls.key", "no tool may touch"),
        ("../new/a.txt", "outside"),
    ],
)
async def test_what_would_be_refused_is_refused_before_anybody_is_asked(
    context: ToolContext, root: Path, path: str, why: str
) -> None:
    (root / "out").symlink_to("../root-evil")
    (root / "file").write_text("x")
    (root / "two").write_text("x")
    (root / "three").hardlink_to(root / "two")
    (root / ".agentgw/run").rmdir()
    before = names(root)
    with pytest.raises(CallFailed, match=why):
        await preview(WRITE_FILE, context, path=path, content="x", overwrite=True)
    assert why in await failure(WRITE_FILE, context, path=path, content="x", overwrite=True)
    assert names(root) == before


async def test_nobody_is_asked_about_a_file_that_would_be_too_large(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "MAX_FILE_BYTES", 3)
    with pytest.raises(CallFailed, match="more than the 3 allowed"):
        await preview(WRITE_FILE, context, path="new/a.txt", content="ää")


@pytest.mark.parametrize(
    ("before", "after", "diff"),
    [
        (None, "x\ny\n", "+x\n+y"),
        (None, "x\n\n", "+x\n+"),
        (None, "", ""),
        (None, "\\ No newline at end of file\n", "+\\\\ No newline at end of file"),
        ("x\n", "x\ny\n", "@@ -1 +1,2 @@\n x\n+y"),
        ("x", "x\n", "@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+x"),
        ("x\n", "x", "@@ -1 +1 @@\n-x\n+x\n\\ No newline at end of file"),
        ("a\nx", "b\nx", "@@ -1,2 +1,2 @@\n-a\n+b\n x\n\\ No newline at end of file"),
        ("x\n", "", "@@ -1 +0,0 @@\n-x"),
        ("@@ x\n", "--- y\n", "@@ -1 +1 @@\n-@@ x\n+--- y"),
    ],
)
async def test_the_end_of_a_file_is_shown_as_other_diffs_show_it(
    context: ToolContext, root: Path, before: str | None, after: str, diff: str
) -> None:
    if before is not None:
        (root / "a.txt").write_text(before)
    shown = await preview(WRITE_FILE, context, path="a.txt", content=after, overwrite=True)
    old = "/dev/null" if before is None else f"{root}/a.txt"
    assert shown.diff == f"--- {old}\n+++ {root}/a.txt\n{diff}".rstrip("\n")


async def test_a_diff_too_long_to_be_computed_shows_all_of_both(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_text("x\n" * MAX_DIFF_LINES)
    shown = await preview(WRITE_FILE, context, path="a.txt", content="y", overwrite=True)
    assert shown.diff is not None
    assert shown.diff.startswith(f"--- {root}/a.txt\n+++ {root}/a.txt\n-x\n-x\n")


async def test_nobody_is_asked_about_a_directory_that_cannot_be_written_to(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere.
    monkeypatch.setattr(replacing.os, "access", lambda *_, **__: False)
    for path in ("a.txt", "new/a.txt"):
        with pytest.raises(CallFailed, match="permission denied"):
            await preview(WRITE_FILE, context, path=path, content="x")
    assert names(root) == set()


async def test_a_huge_change_is_shown_as_far_as_anybody_reads(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_text("x\n" * 100_000)
    shown = await preview(WRITE_FILE, context, path="a.txt", content="y\n" * 100_000, overwrite=True)
    assert shown.diff is not None
    assert len(shown.diff) < MAX_DIFF_CHARS + 100
    assert "more characters are not shown" in shown.diff


def race(context: ToolContext, root: Path, rounds: int) -> int:
    """The number of files that were written while the racer ran; none of them is outside."""
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
