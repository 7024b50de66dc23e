"""Lines of text, bounded, with a way to read on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agentgw_daemon.tools.builtins.list_files import LIST_FILES
from agentgw_daemon.tools.builtins.query_sqlite import QUERY_SQLITE
from agentgw_daemon.tools.builtins.read_file import READ_FILE, lines_of
from agentgw_daemon.tools.builtins.search_text import SEARCH_TEXT
from agentgw_daemon.tools.tool import MAX_CONTENT_BYTES, CallFailed, RunnableTool, ToolContext
from tests.tools.calling import call, content, failure, preview

pytestmark = pytest.mark.anyio


async def test_a_file_comes_as_it_is_and_is_untrusted(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_bytes("\ufefföne\r\ntwo\x0cstill two\n".encode())
    result = await call(READ_FILE, context, path="a.txt")
    assert (result.ok, result.content, result.untrusted) == (True, "öne\r\ntwo\x0cstill two\n", True)


async def test_a_part_says_how_to_read_on(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_text("".join(f"{i}\n" for i in range(1, 11)))
    assert await content(READ_FILE, context, path="a.txt", start_line=3, lines=2) == (
        "3\n4\n[lines 3 to 4 of 10; go on with start_line 5]"
    )
    assert await content(READ_FILE, context, path="a.txt", start_line=9) == "9\n10\n"
    assert await failure(READ_FILE, context, path="a.txt", start_line=11) == "start_line: the file has 10 lines"


async def test_a_long_file_is_bounded_and_every_line_can_be_had(context: ToolContext, root: Path) -> None:
    (root / "a.txt").write_text("x" * 1000 + "\n" + "y" * 200_000 + "\nend\n")
    assert (await content(READ_FILE, context, path="a.txt")).endswith("[lines 1 to 1 of 3; go on with start_line 2]")
    second = await content(READ_FILE, context, path="a.txt", start_line=2)
    assert len(second) < MAX_CONTENT_BYTES + 100
    assert second.endswith("[line 2 is cut; it has 200001 characters]")
    assert await content(READ_FILE, context, path="a.txt", start_line=3) == "end\n"


async def test_an_empty_file_is_empty(context: ToolContext, root: Path) -> None:
    (root / "a.txt").touch()
    assert await content(READ_FILE, context, path="a.txt") == ""


async def test_failures_are_sentences(context: ToolContext, root: Path) -> None:
    (root / "a.bin").write_bytes(b"\x7fELF\0")
    assert await failure(READ_FILE, context, path="gone.txt") == f"{root}/gone.txt: no such file or directory"
    assert "is not text (5 bytes)" in await failure(READ_FILE, context, path="a.bin")
    assert "is a directory" in await failure(READ_FILE, context, path=".")


async def test_a_name_cannot_write_on_the_terminal(context: ToolContext) -> None:
    shown = await preview(READ_FILE, context, path="../\x1b[2J\u202e.txt")
    assert "\\x1b[2J\\u202e" in shown.title
    assert "outside of the directories that tools may read" in shown.details
    assert all(part.isprintable() for part in (shown.title, *shown.details))


@pytest.mark.parametrize("tool", [READ_FILE, LIST_FILES, SEARCH_TEXT, QUERY_SQLITE])
async def test_nobody_is_asked_to_have_a_secret_read(context: ToolContext, root: Path, tool: RunnableTool) -> None:
    more = {"pattern": "x"} if tool is SEARCH_TEXT else {"sql": "SELECT 1"} if tool is QUERY_SQLITE else {}
    (root.parent / "x.key").write_text("secret")
    (root.parent / "way").symlink_to("home/.ssh")
    for path in ("~/.ssh", "~/.ssh/id_ed25519", "../x.key", "../way", "../way/id_ed25519", "/proc/self/environ"):
        with pytest.raises(CallFailed):
            await preview(tool, context, path=path, **more)


async def test_a_directory_that_became_another_since_it_was_agreed_to_is_not_read(
    context: ToolContext, root: Path
) -> None:
    for name in ("one", "two"):
        (root / name).mkdir()
        (root / name / ".env").write_text(name)
    (root / "here").symlink_to("one")
    agreed = replace(context, agreed=(await preview(READ_FILE, context, path="here/.env")).things)
    assert await content(READ_FILE, agreed, path="here/.env") == "one"
    (root / "here").unlink()
    (root / "here").symlink_to("two")
    assert "changed since it was agreed to" in await failure(READ_FILE, agreed, path="here/.env")


async def test_a_file_outside_that_is_not_there_is_told_to_nobody_unasked(context: ToolContext, root: Path) -> None:
    shown = await preview(READ_FILE, context, path="../later.txt")
    (root.parent / "later.txt").write_text("x")
    assert "changed since" in await failure(READ_FILE, replace(context, agreed=shown.things), path="../later.txt")


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)])
def test_lines_are_counted_as_editors_do(text: str, count: int) -> None:
    assert len(lines_of(text)) == count
    assert "".join(lines_of(text)) == text
