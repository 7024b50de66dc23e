"""A directory's names, without what is not for tools."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw_daemon.tools.builtins.list_files import LIST_FILES, MAX_ENTRIES
from agentgw_daemon.tools.tool import ToolContext
from tests.tools.calling import content, failure

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def tree(root: Path) -> None:
    for name in ("a.py", "sub/b.py", "sub/deep/c.py", "node_modules/d.py", ".ssh/config", "server.key"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("text")
    (root / "out").symlink_to("..")


async def test_a_listing_is_two_levels_deep_and_leaves_out_what_is_denied(context: ToolContext) -> None:
    assert (await content(LIST_FILES, context)).splitlines() == [
        ".agentgw/", "a.py (4 bytes)", "node_modules/", "out (link)", "sub/", "sub/b.py (4 bytes)", "sub/deep/",
    ]  # fmt: skip


async def test_a_pattern_looks_everywhere_but_not_through_links(context: ToolContext) -> None:
    found = await content(LIST_FILES, context, pattern="*.py")
    assert found.splitlines() == ["a.py (4 bytes)", "sub/b.py (4 bytes)", "sub/deep/c.py (4 bytes)"]
    assert await content(LIST_FILES, context, pattern="sub/*/c.py") == "sub/deep/c.py (4 bytes)"
    assert await content(LIST_FILES, context, pattern="*.txt") == "nothing found"


async def test_depth_and_path_narrow(context: ToolContext) -> None:
    assert await content(LIST_FILES, context, path="sub", depth=1) == "b.py (4 bytes)\ndeep/"


async def test_a_denied_directory_is_not_listed(context: ToolContext) -> None:
    for path in (".agentgw/config", ".ssh"):
        assert "no tool may touch it" in await failure(LIST_FILES, context, path=path)
    assert "leads out" in await failure(LIST_FILES, context, path="out")


async def test_a_name_is_one_line(context: ToolContext, root: Path) -> None:
    (root / "sub" / "x\n[root] ok\x1b[2J").touch()
    assert "x\\n[root] ok\\x1b[2J (0 bytes)" in (await content(LIST_FILES, context, path="sub")).splitlines()


async def test_special_files_are_named_not_opened(context: ToolContext, root: Path) -> None:
    os.mkfifo(root / "sub" / "fifo")
    assert "fifo (special)" in await content(LIST_FILES, context, path="sub")


async def test_a_long_listing_is_bounded(context: ToolContext, root: Path) -> None:
    (root / "many").mkdir()
    for number in range(MAX_ENTRIES + 1):
        (root / "many" / str(number)).touch()
    lines = (await content(LIST_FILES, context, path="many")).splitlines()
    assert len(lines) == MAX_ENTRIES + 1
    assert lines[-1].startswith("[there is more")


async def test_a_pattern_that_is_made_to_take_for_ever_does_not(root: Path, context: ToolContext) -> None:
    (root / ("a" * 250)).write_text("")
    assert await content(LIST_FILES, context, pattern="*a" * 127 + "b") == "nothing found"
