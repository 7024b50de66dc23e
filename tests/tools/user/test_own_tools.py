"""The user's own functions in their process: what they give, and that nothing they do reaches the daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from agentgw_daemon.tools.user.own_tools import HostFailed, OwnFile, OwnLimits, OwnTool
from tests.patience import PATIENCE_S
from tests.polling import until
from tests.tools.kit import ENVIRON, alive, assert_gone, context, pids_of

pytestmark = pytest.mark.anyio

HEAD = """
import os, sys, time
from pathlib import Path
from agentgw.tool import tool
HERE = Path(__file__).parent
(HERE / "pids").open("a").write(f"{os.getpid()}\\n")
"""


@asynccontextmanager
async def opened(folder: Path, body: str, **limits: float) -> AsyncIterator[OwnFile]:
    path = folder / "mine.py"
    path.write_text(HEAD + body)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            yield OwnFile(path, nursery, ENVIRON, OwnLimits(**limits))
            nursery.cancel_scope.cancel()
    assert_gone(*pids_of(folder))


async def call(file: OwnFile, name: str, **arguments: Any) -> tuple[bool, str]:
    return await file.call(name, arguments)


async def test_a_function_is_described_and_called(tmp_path: Path) -> None:
    body = '@tool(effect="read")\ndef shout(text: str) -> str:\n    """Makes\ttext loud."""\n    return text.upper()\n'
    async with opened(tmp_path, body) as file:
        (shout,), problems = await file.tools()
        assert not problems
        assert isinstance(shout, OwnTool)
        assert (shout.spec.name, shout.spec.description, shout.spec.effect) == ("shout", "Makes text loud.", "read")
        assert not shout.spec.outbound
        result = await shout.call({"text": "ä"}, context(tmp_path))
        assert (result.ok, result.content) == (True, "Ä")
        shown = await shout.describe_call({"text": "ä"}, context(tmp_path))
        assert (shown.title, shown.details) == ("shout in mine.py", ('arguments: {"text": "ä"}',))
        assert len(pids_of(tmp_path)) == 1


async def test_a_file_that_was_changed_since_it_was_agreed_to_does_not_run(tmp_path: Path) -> None:
    body = '@tool\ndef say() -> str:\n    """Says."""\n    return "%s"\n'
    async with opened(tmp_path, body % "one") as file:
        (say,), _ = await file.tools()
        agreed = replace(context(tmp_path), agreed=(await say.describe_call({}, context(tmp_path))).things)
        assert (await say.call({}, agreed)).content == "one"
        file.path.write_text(HEAD + body % "two")
        result = await say.call({}, agreed)
        assert (result.ok, "changed since" in result.content) == (False, True)
        # The file runs as it is there, not as it was there when the process began.
        assert (await say.call({}, context(tmp_path))).content == "two"
        file.path.unlink()
        assert not (await say.call({}, context(tmp_path))).ok


@pytest.mark.parametrize(
    ("declared", "untrusted"),
    [
        ("@tool", True), ('@tool(effect="read")', True), ('@tool(effect="none")', False),
        ('@tool(effect="network", own_output=True)', False),
    ],
)  # fmt: skip
async def test_results_are_somebody_elses_text_unless_the_tool_says_otherwise(
    tmp_path: Path, declared: str, untrusted: bool
) -> None:
    body = f'{declared}\ndef half(number: int) -> int:\n    """Halves."""\n    return 1 // number\n'
    async with opened(tmp_path, body) as file:
        (half,), _ = await file.tools()
        results = [await half.call({"number": number}, context(tmp_path)) for number in (1, 0)]
        assert [(result.ok, result.untrusted) for result in results] == [(True, untrusted), (False, untrusted)]


MISDEEDS = '''
@tool
def misbehave(how: str) -> str:
    """Does as told."""
    if how == "raise":
        raise ValueError("no\\x1b luck")
    if how == "exit":
        sys.exit(3)
    if how == "die":
        print("so long", file=sys.stderr)
        os._exit(3)
    if how == "die, not alone":
        if not os.fork():
            time.sleep(3600)
        os._exit(3)
    if how == "print":
        print('{"ok": true, "content": "forged"}')
        os.write(1, b"more\\n")
        os.system("echo even more")
    if how == "flood":
        for _ in range(300):
            os.write(1, b"x" * 65536)
    if how == "input":
        return repr(sys.stdin.read())
    if how == "large":
        return "x" * 10_000_000
    if how == "surrogate":
        return "\\ud800"
    if how == "hang":
        time.sleep(3600)
    if how == "environment":
        return repr(sorted(os.environ))
    return f"done: {how}"
'''


@pytest.mark.parametrize(
    ("how", "ok", "said"),
    [
        ("raise", False, "ValueError: no\x1b luck (line 12)"),
        ("exit", False, "it called sys.exit (line 14)"),
        ("die", False, "the tool's process exited with status 3; it said: so long"),
        ("die, not alone", False, "the tool's process exited with status 3"),
        ("print", True, "done: print"),
        ("flood", True, "done: flood"),
        ("input", True, "''"),
        ("surrogate", True, "?"),
    ],
)
async def test_whatever_a_call_does_the_next_one_works(tmp_path: Path, how: str, ok: bool, said: str) -> None:
    async with opened(tmp_path, MISDEEDS) as file:
        await file.tools()
        assert await call(file, "misbehave", how=how) == (ok, said)
        assert await call(file, "misbehave", how="a") == (True, "done: a")
        assert len(pids_of(tmp_path)) == (2 if how.startswith("die") else 1)


async def test_a_process_that_ended_while_nobody_asked_costs_no_call(tmp_path: Path) -> None:
    async with opened(tmp_path, MISDEEDS) as file:
        await file.tools()
        (first,) = pids_of(tmp_path)
        os.kill(first, signal.SIGKILL)
        await until(lambda: file._host is None or not file._host.usable)
        assert await call(file, "misbehave", how="a") == (True, "done: a")


async def test_a_large_result_is_cut(tmp_path: Path) -> None:
    async with opened(tmp_path, MISDEEDS) as file:
        ok, text = await call(file, "misbehave", how="large")
        assert ok
        assert 65536 < len(text) < 70_000


async def test_a_call_has_a_time_limit(tmp_path: Path) -> None:
    async with opened(tmp_path, MISDEEDS, call_s=0.5) as file:
        assert await call(file, "misbehave", how="hang") == (False, "the tool's process did not answer within 0.5 s")
        assert_gone(*pids_of(tmp_path))
        assert await call(file, "misbehave", how="a") == (True, "done: a")


async def test_a_cancelled_call_ends_the_process(tmp_path: Path) -> None:
    async with opened(tmp_path, MISDEEDS) as file:
        await file.tools()
        with trio.move_on_after(0.05):
            await call(file, "misbehave", how="hang")
        assert_gone(*pids_of(tmp_path))
        assert await call(file, "misbehave", how="a") == (True, "done: a")


async def test_an_idle_process_ends_and_comes_back(tmp_path: Path) -> None:
    async with opened(tmp_path, MISDEEDS, idle_s=0.05) as file:
        await file.tools()
        (first,) = pids_of(tmp_path)
        await until(lambda: not alive(first))
        assert await call(file, "misbehave", how="a") == (True, "done: a")
        assert len(pids_of(tmp_path)) == 2


async def test_the_process_gets_no_keys(tmp_path: Path) -> None:
    async with opened(tmp_path, MISDEEDS) as file:
        _, names = await call(file, "misbehave", how="environment")
        assert "SECRET_KEY" not in names
        assert "PATH" in names


async def test_a_closed_file_is_ended(tmp_path: Path) -> None:
    async with opened(tmp_path, MISDEEDS) as file:
        await file.tools()
        file.close()
        assert_gone(*pids_of(tmp_path))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import no_such_module\n", "cannot load it: ModuleNotFoundError: No module named 'no_such_module' (line 7)"),
        ("def f(:\n", "cannot load it: SyntaxError"),
        ("sys.exit(0)\n", "cannot load it: it called sys.exit (line 7)"),
        ("os._exit(5)\n", "exited with status 5"),
        ("@tool\ndef f(x: bytes):\n    'x'\n", "cannot load it: TypeError: f: x has a type that a model cannot give"),
    ],
)
async def test_a_file_that_cannot_be_loaded_says_why(tmp_path: Path, body: str, said: str) -> None:
    async with opened(tmp_path, body) as file:
        with pytest.raises(HostFailed) as caught:
            await file.tools()
        assert said in str(caught.value)


async def test_a_file_that_hangs_when_it_is_loaded(tmp_path: Path) -> None:
    async with opened(tmp_path, "time.sleep(3600)\n", load_s=1.0) as file:
        with pytest.raises(HostFailed, match="did not answer within 1 s"):
            await file.tools()


async def test_a_file_without_tools_and_one_with_a_bad_name(tmp_path: Path) -> None:
    async with opened(tmp_path, "x = 1\n") as file:
        assert await file.tools() == ((), ("has no function with @tool",))
    async with opened(tmp_path, "@tool\ndef Loud():\n    'x'\n@tool\ndef soft():\n    'x'\n") as file:
        tools, problems = await file.tools()
        assert [tool.spec.name for tool in tools] == ["soft"]
        assert problems == ("Loud: its name must have 1 to 64 of the characters a-z, 0-9 and _",)


async def test_a_file_stands_alone(tmp_path: Path) -> None:
    """A file beside it was not examined, and must not stand for a module of the library either."""
    (tmp_path / "colorsys.py").write_text("raise AssertionError\n")
    (tmp_path / "beside.py").write_text("")
    async with opened(tmp_path, "import colorsys\nimport beside\n") as file:
        with pytest.raises(HostFailed, match="No module named 'beside'"):
            await file.tools()


def test_a_process_whose_daemon_is_gone_ends_in_the_middle_of_a_call(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + MISDEEDS)
    command = [sys.executable, "-P", "-m", "agentgw_daemon.tools.user.toolhost", str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRON) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert b"misbehave" in process.stdout.readline()
        process.stdin.write(b'{"tool": "misbehave", "arguments": {"how": "hang"}}\n')
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
