"""A child process of ours that works on hostile input: it may hang, grow or crash instead of the daemon.

The request is JSON on its standard input, the answer lines of JSON on its standard output. What it said before it was
ended counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.system.child_environment import worker_environment
from agentgw_daemon.tools.tool import ToolContext

_READ_BYTES: Final = 1 << 16


@record
class ChildOutput:
    """Output of the child. `in_time` is false when it was ended for taking too long, `status` then means nothing."""

    lines: tuple[Any, ...]
    in_time: bool
    status: int


async def ask_child(
    module: str,
    request: Mapping[str, Any],
    context: ToolContext,
    *,
    time_s: float,
    max_bytes: int,
    pass_fds: Sequence[int] = (),
) -> ChildOutput:
    """Runs `python -m module`. It is killed after `time_s` seconds, after `max_bytes` of answer, and on cancel."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=tuple(pass_fds),
        env=worker_environment(context.environ, context.instance), cwd="/", start_new_session=True,
    )  # fmt: skip
    said = bytearray()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with trio.move_on_after(time_s) as patience:
            try:
                async with process.stdin:
                    await process.stdin.send_all(json.dumps(request).encode())
            except trio.BrokenResourceError:
                # It died already; the status says so.
                pass
            while len(said) <= max_bytes and (block := await process.stdout.receive_some(_READ_BYTES)):
                said += block
            if len(said) <= max_bytes:
                await process.wait()
    finally:
        with trio.CancelScope(shield=True):
            # Nothing of ours can resist this, so the wait is short.
            process.kill()
            await process.wait()
            await process.stdout.aclose()
            await process.stdin.aclose()
    # The last line may be cut.
    lines = tuple(json.loads(line) for line in bytes(said[: said.rfind(b"\n") + 1]).splitlines())
    return ChildOutput(lines=lines, in_time=not patience.cancelled_caught, status=process.returncode or 0)
