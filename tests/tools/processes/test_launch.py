"""Programs that a call would start are found once, and an approval holds for nothing else."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw_daemon.tools.builtins.run_command import RUN_COMMAND
from agentgw_daemon.tools.processes.command_environment import DEFAULT_PATH, search_path
from agentgw_daemon.tools.processes.launch import MAX_WORD_BYTES
from agentgw_daemon.tools.tool import CallFailed, ToolContext
from tests.system.racing import exchange
from tests.tools.calling import content, failure, preview

pytestmark = pytest.mark.anyio


def script(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o700)
    return path


def searching(context: ToolContext, *entries: str) -> ToolContext:
    return replace(context, environ={**context.environ, "PATH": ":".join([*entries, os.environ["PATH"]])})


async def things(context: ToolContext, *argv: str, **more: str) -> tuple[str, ...]:
    return (await preview(RUN_COMMAND, context, argv=list(argv), **more)).things


async def run_agreed(context: ToolContext, agreed: tuple[str, ...], *argv: str) -> str:
    return await content(RUN_COMMAND, replace(context, agreed=agreed), argv=list(argv))


async def refusal(context: ToolContext, agreed: tuple[str, ...], *argv: str) -> str:
    return await failure(RUN_COMMAND, replace(context, agreed=agreed), argv=list(argv))


@pytest.mark.parametrize(
    ("path", "searched"),
    [
        ("/a::bin:.:../x:/b", "/a:/b"), (":/a", "/a"), ("/a:", "/a"), ("", DEFAULT_PATH), (".", DEFAULT_PATH),
        ("~/bin:/a", "/a"),
    ],
)  # fmt: skip
def test_only_absolute_entries_of_path_are_searched(path: str, searched: str) -> None:
    assert search_path({"PATH": path}) == searched
    assert search_path({}) == DEFAULT_PATH


@pytest.mark.parametrize("entry", ["", ".", "bin"])
async def test_a_program_of_the_working_directory_is_not_found_by_its_name(
    context: ToolContext, root: Path, entry: str
) -> None:
    script(root / "ls", "stolen")
    script(root / "bin/ls", "stolen")
    script(root / "bin/mine", "stolen")
    here = searching(context, entry)
    assert "stolen" not in await content(RUN_COMMAND, here, argv=["ls", "/dev/null"])
    assert "stolen" not in await content(RUN_COMMAND, here, argv=["sh", "-c", "ls /dev/null"])
    assert "no such program" in await failure(RUN_COMMAND, here, argv=["mine"])
    with pytest.raises(CallFailed, match="no such program"):
        await preview(RUN_COMMAND, here, argv=["mine"])


async def test_the_program_that_is_shown_is_the_one_that_runs(context: ToolContext, root: Path) -> None:
    one = script(root / "one/tool", "one")
    (root / "links").mkdir()
    (root / "links/tool").symlink_to(one)
    here = searching(context, str(root / "links"))
    shown = await preview(RUN_COMMAND, here, argv=["tool"])
    assert shown.details[0] == f"program: {root}/links/tool, which is {one}"
    assert await run_agreed(here, shown.things, "tool") == "one\n"


async def test_what_was_exchanged_since_it_was_agreed_to_does_not_run(context: ToolContext, root: Path) -> None:
    tool = script(root / "bin/tool", "one")
    here = searching(context, str(root / "bin"), str(root / "late"))
    agreed = await things(here, "tool")
    assert await run_agreed(here, agreed, "tool") == "one\n"

    script(root / "other", "two").replace(tool)
    assert "changed since it was agreed to" in await refusal(here, agreed, "tool")

    agreed = await things(here, "tool")
    with tool.open("a") as file:
        file.write("echo more\n")
    assert "changed since it was agreed to" in await refusal(here, agreed, "tool")

    agreed = await things(here, "tool")
    (root / "bin").rename(root / "gone")
    script(root / "late/tool", "three")
    assert "changed since it was agreed to" in await refusal(here, agreed, "tool")

    # The same bytes, but another file.
    agreed = await things(here, "tool")
    copy = root / "late/copy"
    copy.write_bytes((root / "late/tool").read_bytes())
    copy.chmod(0o700)
    copy.replace(root / "late/tool")
    assert "changed since it was agreed to" in await refusal(here, agreed, "tool")


async def test_an_earlier_entry_of_path_does_not_slip_in(context: ToolContext, root: Path) -> None:
    script(root / "second/tool", "second")
    (root / "first").mkdir()
    here = searching(context, str(root / "first"), str(root / "second"))
    agreed = await things(here, "tool")
    script(root / "first/tool", "first")
    assert "changed since it was agreed to" in await refusal(here, agreed, "tool")


async def test_a_directory_that_became_another_is_not_run_in(context: ToolContext, root: Path) -> None:
    for name in ("one", "two"):
        (root / name).mkdir()
    (root / "here").symlink_to("one")
    agreed = await things(context, "pwd", cwd="here")
    (root / "here").unlink()
    (root / "here").symlink_to("two")
    with_agreed = replace(context, agreed=agreed)
    assert "changed since it was agreed to" in await failure(RUN_COMMAND, with_agreed, argv=["pwd"], cwd="here")


async def test_the_interpreter_of_a_script_counts(context: ToolContext, root: Path) -> None:
    interpreter = root / "bin/interpreter"
    interpreter.parent.mkdir()
    interpreter.symlink_to("/bin/sh")
    (root / "x").write_text(f"#!{interpreter} -e\necho x\n")
    (root / "y").write_text("#!/usr/bin/env interpreter\necho y\n")
    here = searching(context, str(root / "bin"))
    for name in ("x", "y"):
        (root / name).chmod(0o700)
        agreed = await things(here, f"./{name}")
        assert await run_agreed(here, agreed, f"./{name}") == f"{name}\n"
        interpreter.unlink()
        interpreter.symlink_to("/bin/cat")
        assert "changed since it was agreed to" in await refusal(here, agreed, f"./{name}")
        interpreter.unlink()
        interpreter.symlink_to("/bin/sh")


@pytest.mark.parametrize(
    "argv",
    [
        ["sh", "build"], ["sh", "-e", "build", "x"], [sys.executable, "-I", "build"], ["env", "sh", "build"],
        ["env", "A=b", "./build"], ["nice", "-n", "1", "sh", "build"], ["make", "-f", "build"], ["perl", "-w", "build"],
        ["make", "--file=build"], ["timeout", "5", "./build"], ["find", ".", "-exec", "sh", "build", ";"],
        [sys.executable, "build", "lib.py"], ["sh", "-c", "./build x"], ["sh", "-ec", "cd . && sh build; true"],
        ["sh", "-c", "A=b exec 'build' || ./build"], ["env", "-S", "sh -e build"], ["env", "--split-string=sh build"],
        ["make", "-fbuild"], ["nice", "sh", "-c", "(. ./build)"], ["sh", "-c", "x=$(./build); y=`./build`"],
        ["sh", "-c", "./build 'open"], ["sh", "-c", "sh -c './build x'"],
    ],
)  # fmt: skip
async def test_the_file_that_an_interpreter_is_given_counts(context: ToolContext, root: Path, argv: list[str]) -> None:
    script(root / "build", "x")
    script(root / "lib.py", "x").chmod(0o600)
    agreed = await things(context, *argv)
    with (root / argv[-1] if argv[-1].endswith(".py") else root / "build").open("a") as file:
        file.write("# more\n")
    assert await things(context, *argv) != agreed
    assert "changed since it was agreed to" in await refusal(context, agreed, *argv)


async def test_a_directory_that_python_runs_counts_by_its_program(context: ToolContext, root: Path) -> None:
    (root / "app").mkdir()
    (root / "app/__main__.py").write_text("print(1)\n")
    agreed = await things(context, sys.executable, "app")
    assert await run_agreed(context, agreed, sys.executable, "app") == "1\n"
    (root / "app/__main__.py").write_text("print(2)\n")
    assert "changed since it was agreed to" in await refusal(context, agreed, sys.executable, "app")


async def test_data_that_a_program_reads_does_not_count(context: ToolContext, root: Path) -> None:
    (root / "app.log").write_text("one\n")
    script(root / "count.sh", "x").chmod(0o600)
    for argv in (
        ["cat", "app.log"], ["sh", "count.sh", "app.log"], ["sed", "-n", "1p", "app.log"],
        ["sh", "-c", "cat app.log | wc -l"],
    ):  # fmt: skip
        agreed = await things(context, *argv)
        with (root / "app.log").open("a") as file:
            file.write("two\n")
        assert await things(context, *argv) == agreed


@pytest.mark.parametrize(
    ("argv", "cwd", "why"),
    [
        (["no-such-program"], ".", "no such program"),
        (["./data"], ".", "it is not executable"),
        (["./"], ".", "it is a directory"),
        (["./none"], ".", "no such program"),
        (["./orphan"], ".", "its interpreter /no/such/interpreter is not there"),
        (["echo", "x" * (MAX_WORD_BYTES + 1)], ".", "no word may have more"),
        (["ls"], "..", "outside"),
        (["ls"], "nowhere", "no such file"),
        (["ls"], ".agentgw/config", "no tool may touch"),
        (["ls", "a\0b"], ".", "must be a program"),
    ],
)
async def test_nobody_is_asked_about_what_cannot_run(
    context: ToolContext, root: Path, argv: list[str], cwd: str, why: str
) -> None:
    (root / "data").write_text("x")
    (root / "orphan").write_text("#!/no/such/interpreter\n")
    (root / "orphan").chmod(0o700)
    with pytest.raises(CallFailed, match=why):
        await preview(RUN_COMMAND, context, argv=argv, cwd=cwd)


async def test_the_longest_word_runs(context: ToolContext) -> None:
    word = "x" * MAX_WORD_BYTES
    assert len(await content(RUN_COMMAND, context, argv=["printf", "%.3s", word])) == 3


async def test_a_program_that_cannot_be_read_runs(context: ToolContext, root: Path) -> None:
    copy = root / "true"
    copy.write_bytes(Path("/bin/true").read_bytes())
    copy.chmod(0o100)
    agreed = await things(context, "./true")
    assert "exit status 0" in await run_agreed(context, agreed, "./true")


async def test_a_program_that_is_exchanged_while_it_is_started_is_ended(
    context: ToolContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = script(root / "one", "one")
    two = script(root / "two", "two; exec sleep 3600")
    agreed = await things(context, "./one")
    start = trio.lowlevel.open_process

    async def exchanged(*args: Any, **options: Any) -> trio.Process:
        exchange(one, two)
        return await start(*args, **options)

    monkeypatch.setattr(trio.lowlevel, "open_process", exchanged)
    assert "was changed while it was started; it was ended at once" in await refusal(context, agreed, "./one")
