"""Programs as tools: bounded in time and output, and gone with everything they started."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from agentgw_daemon.tools.declared import DeclarationRefused
from agentgw_daemon.tools.tool import CallFailed, ToolResult
from agentgw_daemon.tools.user.executables import ExecutableLimits, ExecutableTool, ProgramFailed, describe
from tests.polling import until
from tests.tools.kit import ENVIRON, assert_gone, context, pids_of

pytestmark = pytest.mark.anyio

PROGRAM = r"""#!{python}
import json, os, subprocess, sys, time
open({pids!r}, "a").write(str(os.getpid()) + "\n")
if sys.argv[1:] == ["--describe"]:
    print(json.dumps({{"name": "prog", "description": "Does\nit", "parameters": {{"type": "object"}}, **{extra!r}}}))
    sys.exit()
how = json.load(sys.stdin)["how"]
if how == "fail":
    print("half a result")
    print("first\nno such \x1bcity", file=sys.stderr)
    sys.exit(2)
if how == "hang":
    time.sleep(3600)
if how == "flood":
    while True:
        os.write(1, b"x" * 65536)
if how == "flood stderr":
    for _ in range(100):
        os.write(2, b"x" * 65536)
if how == "signal":
    os.kill(os.getpid(), 9)
if how == "leave":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    open({pids!r}, "a").write(str(child.pid) + "\n")
if how == "environment":
    print(json.dumps(dict(os.environ)))
else:
    print("done:", how, os.getcwd())
"""


def program(folder: Path, text: str = PROGRAM, **extra: object) -> Path:
    path = folder / "prog"
    path.write_text(text.format(python=sys.executable, pids=str(folder / "pids"), extra=extra))
    path.chmod(0o700)
    return path


async def described(path: Path, **limits: float) -> ExecutableTool:
    return await describe(path, ENVIRON, ExecutableLimits(**limits))


async def call(folder: Path, how: str, **limits: float) -> ToolResult:
    tool = await described(program(folder), **limits)
    return await tool.call({"how": how}, context(folder))


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert_gone(*pids_of(tmp_path))


async def test_a_program_says_what_it_is_and_is_called(tmp_path: Path) -> None:
    tool = await described(program(tmp_path))
    assert (tool.spec.name, tool.spec.description) == ("prog", "Does it")
    assert (tool.spec.effect, tool.spec.outbound) == ("command", True)
    result = await tool.call({"how": "ä"}, context(tmp_path))
    assert (result.ok, result.content) == (True, f"done: ä {tmp_path}\n")
    assert (await tool.describe_call({}, context(tmp_path))).title == f"prog, the program {tmp_path / 'prog'}"


async def test_a_program_may_say_its_effect(tmp_path: Path) -> None:
    spec = (await described(program(tmp_path, effect="read"))).spec
    assert (spec.effect, spec.outbound) == ("read", False)
    spec = (await described(program(tmp_path, effect="network"))).spec
    assert (spec.effect, spec.outbound) == ("network", True)


@pytest.mark.parametrize(
    ("declared", "untrusted"),
    [
        ({}, True), ({"effect": "read"}, True), ({"effect": "write"}, True), ({"effect": "network"}, True),
        ({"effect": "none"}, False), ({"effect": "read", "own_output": True}, False), ({"own_output": "yes"}, True),
    ],
)  # fmt: skip
async def test_what_a_program_prints_is_somebody_elses_unless_it_says_otherwise(
    tmp_path: Path, declared: dict[str, object], untrusted: bool
) -> None:
    tool = await described(program(tmp_path, **declared))
    for how in ("work", "fail"):
        assert (await tool.call({"how": how}, context(tmp_path))).untrusted is untrusted


async def test_a_program_that_was_changed_since_it_was_agreed_to_does_not_run(tmp_path: Path) -> None:
    tool = await described(program(tmp_path))
    agreed = replace(context(tmp_path), agreed=(await tool.describe_call({"how": "x"}, context(tmp_path))).things)
    assert (await tool.call({"how": "x"}, agreed)).ok
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert not (await tool.call({"how": "x"}, replace(agreed, cwd=elsewhere))).ok
    with (tmp_path / "prog").open("a") as file:
        file.write("# more\n")
    result = await tool.call({"how": "x"}, agreed)
    assert (result.ok, "changed since it was agreed to" in result.content) == (False, True)
    assert len(pids_of(tmp_path)) == 2, "described once, called once"
    (tmp_path / "prog").unlink()
    with pytest.raises(CallFailed, match="no such program"):
        await tool.describe_call({"how": "x"}, context(tmp_path))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("fail", "prog exited with status 2; it said: first no such city"),
        ("signal", "prog was killed by SIGKILL"),
        ("flood", "prog printed more than 1024 KiB"),
    ],
)
async def test_a_call_that_fails_says_how(tmp_path: Path, how: str, said: str) -> None:
    assert await call(tmp_path, how) == ToolResult(ok=False, content=said, untrusted=True)


async def test_a_call_has_a_time_limit(tmp_path: Path) -> None:
    result = await call(tmp_path, "hang", call_s=0.5)
    assert (result.ok, result.content) == (False, "prog did not end within 0.5 s")


async def test_much_on_stderr_hurts_nobody(tmp_path: Path) -> None:
    assert (await call(tmp_path, "flood stderr")).ok


async def test_what_a_program_leaves_behind_is_ended(tmp_path: Path) -> None:
    assert (await call(tmp_path, "leave", linger_s=0.1)).ok
    assert len(pids_of(tmp_path)) == 3


async def test_a_cancelled_call_ends_the_program(tmp_path: Path) -> None:
    tool = await described(program(tmp_path))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tool.call, {"how": "hang"}, context(tmp_path))
        await until(lambda: len(pids_of(tmp_path)) >= 2)
        nursery.cancel_scope.cancel()


async def test_a_program_gets_no_keys(tmp_path: Path) -> None:
    environment = json.loads((await call(tmp_path, "environment")).content)
    assert "SECRET_KEY" not in environment
    assert "PYTHONPATH" not in environment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho no json\n", "is not JSON"),
        ("#!/bin/sh\necho '[]'\n", "is not an object"),
        ("#!/bin/sh\necho '{{}}'\n", "its name must have"),
        ("#!/bin/sh\nyes\n", "printed more than"),
        ("#!/bin/sh\nexit 3\n", "exited with status 3"),
        ("#!/no/such/interpreter\n", "cannot be started: no such file or directory: the interpreter in its first line"),
        ("no magic at all\n", "cannot be started: exec format error"),
        ("#!/bin/sh\nsleep 3600\n", "did not end within 0.5 s"),
    ],
)
async def test_a_program_that_cannot_describe_itself(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises((ProgramFailed, DeclarationRefused)) as caught:
        await described(program(tmp_path, text), describe_s=0.5 if "sleep" in text else 10.0)
    assert said in str(caught.value)
