"""Matches, and patterns that are made to hang."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw_daemon.tools.builtins import search_text
from agentgw_daemon.tools.builtins.list_files import LIST_FILES
from agentgw_daemon.tools.builtins.search_text import MAX_MATCHES, SEARCH_TEXT
from agentgw_daemon.tools.tool import ToolContext, ToolResult
from tests.patience import PATIENCE_S
from tests.tools.calling import call, content, failure

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def tree(root: Path) -> None:
    texts = {
        "a.py": "import os\nx = a.b(1)\n", "sub/b.txt": "nothing\r\nimport sys\r\n", ".env": "import secret\n",
        "x.key": "import secret\n", "k.pem": "import\n-----BEGIN PRIVATE KEY-----\n", ".git/c": "import git\n",
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(text.encode())
    (root / "data.bin").write_bytes(b"import\0")
    (root / "link").symlink_to("../secret.txt")
    os.mkfifo(root / "fifo")


async def test_plain_text_is_found_and_secrets_are_not(context: ToolContext) -> None:
    found = await content(SEARCH_TEXT, context, pattern="import")
    assert found.splitlines() == ["a.py:1: import os", "sub/b.txt:2: import sys"]
    assert await content(SEARCH_TEXT, context, pattern="a.b(") == "a.py:2: x = a.b(1)"
    assert (await content(SEARCH_TEXT, context, pattern="secret")).startswith("no match in 2 files")


async def test_a_regex_is_one_only_when_asked(context: ToolContext) -> None:
    assert (await content(SEARCH_TEXT, context, pattern="import o.")).startswith("no match")
    assert await content(SEARCH_TEXT, context, pattern="import o.", regex=True) == "a.py:1: import os"
    assert "pattern: not a regular expression" in await failure(SEARCH_TEXT, context, pattern="(", regex=True)


async def test_a_glob_and_a_path_narrow(context: ToolContext) -> None:
    assert await content(SEARCH_TEXT, context, pattern="import", glob="*.txt") == "sub/b.txt:2: import sys"
    assert await content(SEARCH_TEXT, context, pattern="import", path="sub") == "b.txt:2: import sys"
    assert await content(SEARCH_TEXT, context, pattern="import", path="a.py") == "a.py:1: import os"
    assert "leads out" in await failure(SEARCH_TEXT, context, pattern="secret", path="link")


async def test_matches_are_bounded_and_long_lines_cut(context: ToolContext, root: Path) -> None:
    (root / "many.txt").write_text("needle\n" * (MAX_MATCHES + 1))
    lines = (await content(SEARCH_TEXT, context, pattern="needle")).splitlines()
    assert len(lines) == MAX_MATCHES + 1
    assert lines[-1].startswith("[more than")
    (root / "long.txt").write_text("x" * 100_000 + "pin" + "y" * 100_000)
    found = await content(SEARCH_TEXT, context, pattern="pin")
    assert "xpiny" in found
    assert len(found) < 400


async def test_a_catastrophic_pattern_ends_without_holding_anybody_up(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_text, "TIME_S", 1.0)
    (root / "evil.txt").write_text("a" * 60 + "!\n")
    results: list[ToolResult] = []

    async def search() -> None:
        results.append(await call(SEARCH_TEXT, context, pattern="(a+)+$", regex=True, path="evil.txt"))

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(search)
            # The daemon goes on meanwhile, and so do other calls.
            assert "a.py" in await content(LIST_FILES, context)
            assert not results
    assert not results[0].ok
    assert "stopped after 1 s" in results[0].content


async def test_cancelling_ends_the_child(context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "evil.txt").write_text("a" * 60 + "!\n")
    started: list[trio.Process] = []
    has_started = trio.Event()
    open_process = trio.lowlevel.open_process

    async def noted(*args: Any, **kwargs: Any) -> trio.Process:
        started.append(await open_process(*args, **kwargs))
        has_started.set()
        return started[-1]

    monkeypatch.setattr(trio.lowlevel, "open_process", noted)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: call(SEARCH_TEXT, context, pattern="(a+)+$", regex=True, path="evil.txt"))
            await has_started.wait()
            nursery.cancel_scope.cancel()
    [child] = started
    # Reaped as well. Only this child is looked at: other tests have theirs, which are not ours to wait for.
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, os.WNOHANG)
