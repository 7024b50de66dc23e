"""One program, its arguments as they are, and nothing left of it afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from agentgw_daemon.tools.builtins import run_command
from agentgw_daemon.tools.builtins.run_command import MAX_OUTPUT_BYTES, RUN_COMMAND
from agentgw_daemon.tools.tool import MAX_CONTENT_BYTES, CallFailed, ToolContext
from tests.ending import ends_within
from tests.jumping import CLOCK, JUMPING
from tests.patience import PATIENCE_S
from tests.tools.calling import call, content, failure, preview

pytestmark = pytest.mark.anyio


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


class Sleepers:
    """Processes that say who they are and then wait for ever."""

    def __init__(self, folder: Path) -> None:
        self.pids: list[int] = []
        self._said, self._never = folder / "said", folder / "never"
        os.mkfifo(self._said)
        os.mkfifo(self._never)
        # For writing as well: so it has no end while nobody else writes.
        self.fd = os.open(self._said, os.O_RDWR | os.O_NONBLOCK)

    def code(self, meanwhile: str = "pass") -> str:
        """Python on one line. Waits on a FIFO that nobody writes to."""
        say = f"os.write(os.open({str(self._said)!r}, os.O_WRONLY), b'%d\\n' % os.getpid())"
        return f"import os; {say}; {meanwhile}; open({str(self._never)!r})"

    async def wait_begun(self, count: int) -> None:
        with trio.fail_after(PATIENCE_S):
            while len(self.pids) < count:
                await trio.lowlevel.wait_readable(self.fd)
                self.listen()

    def listen(self) -> None:
        with suppress(BlockingIOError):
            self.pids += map(int, os.read(self.fd, 65536).split())


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[Sleepers]:
    """Checks, when the test is over, that there were some and none is alive."""
    made = Sleepers(tmp_path)
    yield made
    made.listen()
    os.close(made.fd)
    assert made.pids
    assert all(ends_within(pid, 10) for pid in made.pids)


async def test_output_of_both_kinds_comes_in_order_and_is_untrusted(context: ToolContext) -> None:
    code = "import os; os.write(1, b'out\\n'); os.write(2, b'err\\n')"
    result = await call(RUN_COMMAND, context, argv=python(code))
    assert (result.ok, result.content, result.untrusted) == (True, "out\nerr\n", True)
    assert await content(RUN_COMMAND, context, argv=["true"]) == "[no output, exit status 0]"


async def test_failures_say_how(context: ToolContext) -> None:
    assert await failure(RUN_COMMAND, context, argv=["sh", "-c", "echo no; exit 3"]) == "no\n\n[exit status 3]"
    assert await failure(RUN_COMMAND, context, argv=["sh", "-c", "kill -9 $$"]) == "[ended by signal 9]"
    assert "there is no such program" in await failure(RUN_COMMAND, context, argv=["no-such-program"])


@pytest.mark.parametrize(
    "word", ["; touch made", "$(touch made)", "`touch made`", "&& touch made", "| touch made", "*"]
)
async def test_a_word_is_one_argument_whatever_is_in_it(context: ToolContext, root: Path, word: str) -> None:
    code = "import sys; print(sys.argv[1:])"
    assert await content(RUN_COMMAND, context, argv=[*python(code), word]) == f"{[word]}\n"
    assert "there is no such program" in await failure(RUN_COMMAND, context, argv=[f"ls{word}"])
    assert not (root / "made").exists()


async def test_the_environment_has_no_secrets(context: ToolContext) -> None:
    rich = replace(context, environ={**context.environ, "SSH_AUTH_SOCK": "/x", "DBUS_SESSION_BUS_ADDRESS": "y"})
    said = await content(RUN_COMMAND, rich, argv=["env"])
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names <= {
        "PATH", "HOME", "LANG", "TERM", "NO_COLOR", "PAGER", "GIT_PAGER", "GIT_TERMINAL_PROMPT", "PWD", "AGENTGW_CALL",
    }  # fmt: skip
    assert "canary" not in said


async def test_nothing_can_be_typed(context: ToolContext) -> None:
    assert await content(RUN_COMMAND, context, argv=["cat"]) == "[no output, exit status 0]"


async def test_no_descriptor_of_ours_is_inherited(context: ToolContext) -> None:
    code = "import os; print([fd for fd in range(3, 100) if os.path.exists(f'/dev/fd/{fd}')])"
    with open("/dev/null") as file:
        os.set_inheritable(file.fileno(), True)
        assert await content(RUN_COMMAND, context, argv=python(code)) == "[]\n"


async def test_it_runs_in_the_roots_only(context: ToolContext, root: Path) -> None:
    (root / "sub").mkdir()
    (root / "out").symlink_to("..")
    assert await content(RUN_COMMAND, context, argv=["pwd", "-P"], cwd="sub") == f"{root}/sub\n"
    assert await content(RUN_COMMAND, context, argv=["pwd"]) == f"{root}\n"
    assert "outside" in await failure(RUN_COMMAND, context, argv=["pwd"], cwd="..")
    assert "leads out" in await failure(RUN_COMMAND, context, argv=["pwd"], cwd="out")
    assert "no tool may touch" in await failure(RUN_COMMAND, context, argv=["pwd"], cwd=".agentgw/config")


async def test_a_program_of_the_directory_runs_by_its_path(context: ToolContext, root: Path) -> None:
    (root / "tool").write_text("#!/bin/sh\necho tool $1\n")
    (root / "tool").chmod(0o700)
    assert await content(RUN_COMMAND, context, argv=["./tool", "x"]) == "tool x\n"
    assert "no such program" in await failure(RUN_COMMAND, context, argv=["tool"])


async def test_a_flood_is_ended_and_its_beginning_and_end_kept(context: ToolContext) -> None:
    code = "import os\nos.write(1, b'first\\n')\nwhile True: os.write(1, b'y' * 65536)"
    said = await failure(RUN_COMMAND, context, argv=python(code))
    assert said.startswith("first\n")
    assert "bytes left out]" in said
    assert said.endswith(f"[ended after {MAX_OUTPUT_BYTES >> 20} MiB of output]")
    assert len(said) <= MAX_CONTENT_BYTES


@JUMPING
async def test_a_timeout_keeps_the_output_and_kills(context: ToolContext, sleepers: Sleepers) -> None:
    code = f"print('begun', flush=True); {sleepers.code()}"
    said = ""

    async def run() -> None:
        nonlocal said
        said = await failure(RUN_COMMAND, context, argv=python(code), timeout_s=50)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await sleepers.wait_begun(1)
        CLOCK.jump(50)
    assert said.startswith("begun\n\n[ended after 50 s")


async def cancelled_after(context: ToolContext, sleepers: Sleepers, code: str, count: int) -> None:
    """Runs the code and cancels the call when so many sleep."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: call(RUN_COMMAND, context, argv=python(code)))
        await sleepers.wait_begun(count)
        nursery.cancel_scope.cancel()


async def test_cancelling_kills_children_and_grandchildren_also_in_sessions_of_their_own(
    context: ToolContext, sleepers: Sleepers
) -> None:
    code = f"import os; os.fork(); os.fork() or os.setsid(); {sleepers.code()}"
    await cancelled_after(context, sleepers, code, 4)


async def test_children_of_the_session_are_killed_without_a_proc_to_look_in(
    context: ToolContext, sleepers: Sleepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_command, "kill_marked", lambda mark: None)
    await cancelled_after(context, sleepers, f"import os; os.fork(); {sleepers.code()}", 2)


async def test_what_a_program_leaves_behind_ends_with_it(context: ToolContext, sleepers: Sleepers) -> None:
    behind = sleepers.code("os.write(theirs, b'x')")
    code = (
        "import os\n"
        "ours, theirs = os.pipe()\n"
        f"if not os.fork():\n    os.setsid()\n    {behind}\n"
        "os.read(ours, 1)\n"
        "print('done')"
    )
    assert await content(RUN_COMMAND, context, argv=python(code)) == "done\n"


async def test_a_program_that_closes_its_output_is_waited_for(context: ToolContext, root: Path) -> None:
    code = "import os; os.close(1); os.close(2); open('made', 'w').write('x')"
    await call(RUN_COMMAND, context, argv=python(code))
    assert (root / "made").read_text() == "x"


@pytest.mark.parametrize("argv", [[""], ["ls", "a\0b"]])
async def test_words_that_no_program_can_get_are_refused(context: ToolContext, argv: list[str]) -> None:
    assert "argv: must be" in await failure(RUN_COMMAND, context, argv=argv)


async def test_the_approval_shows_program_words_and_place(context: ToolContext, root: Path) -> None:
    shown = await preview(RUN_COMMAND, context, argv=["ls", "-l; \x1b]52;c;eA==\x07", "a\nb", "x\u202ey"])
    assert shown.title == "Run ls -l; \\x1b]52;c;eA==\\x07 a\\nb x\\u202ey"
    assert shown.details[0].endswith("/ls")
    assert shown.details[1:5] == ("  [0] ls", "  [1] -l; \\x1b]52;c;eA==\\x07", "  [2] a\\nb", "  [3] x\\u202ey")
    assert shown.details[5] == f"in: {root}"
    with pytest.raises(CallFailed):
        await preview(RUN_COMMAND, context, argv=["ls; id"])
