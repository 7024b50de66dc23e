"""One run of a job: a detached turn from its start to what became of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from agentgw.protocol.calls.jobs import RunStatus
from agentgw.protocol.calls.turns import TurnResult, TurnStartParams
from agentgw.protocol.errors import RpcError, ShuttingDown
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Turn
from agentgw_daemon.events.turn_state import TurnState
from agentgw_daemon.scheduler.job import Job
from agentgw_daemon.scheduler.planning.decisions import Start
from agentgw_daemon.scheduler.running.attachments import AttachmentMissing, changed_files, read_attachments

log = logging.getLogger(__name__)

STOPPED: Final = "agentgw was stopped"
CANCELLED: Final = "it was cancelled"
# A turn that is cancelled stores its end within 15 seconds.
_ENDING_S: Final = 20.0
# Of an answer that is asked for in the log.
_MOST_LOGGED: Final = 2000


class StartsTurns(Protocol):
    """Starts turns and finds them; the daemon's `Turns` in a daemon."""

    def find(self, turn_id: str) -> TurnState | None:
        """The turn of this id if it goes on."""

    async def start(self, params: TurnStartParams) -> TurnState | Turn:
        """Start a turn."""


@record
class RunEnd:
    """The outcome of a run. `again` where trying it again may help."""

    status: RunStatus
    why: str | None = None
    again: bool = False


async def execute(turns: StartsTurns, job: Job, start: Start, begun: Callable[[str], Awaitable[None]]) -> RunEnd | None:
    """Run the turn of a job to its end; `begun` is told its id. Turns and files that fail make it fail.

    None: the daemon ends, and the next one goes on with the turn.
    """
    try:
        turn = await turns.start(await _params(job, start))
    except ShuttingDown:
        return RunEnd(status="interrupted", why=STOPPED)
    except AttachmentMissing as missing:
        return RunEnd(status="failed", why=str(missing), again=True)
    except RpcError as error:
        return RunEnd(status="failed", why=error.message, again=True)
    assert isinstance(turn, TurnState), "it has no idempotency key"
    await begun(turn.turn_id)
    return await follow(job, turn)


async def follow(job: Job, turn: TurnState, *, passed_s: float = 0.0) -> RunEnd | None:
    """The end of a run whose turn goes on since `passed_s`; None as `execute` gives it."""
    with trio.move_on_after(math.inf if job.timeout_s is None else max(job.timeout_s - passed_s, 0.0)) as limit:
        return _end_of(job, await turn.wait_outcome())
    assert limit.cancelled_caught
    turn.cancel()
    with trio.move_on_after(_ENDING_S):
        await turn.wait_outcome()
    return RunEnd(status="failed", why=f"it took longer than {job.timeout_s:g} seconds", again=True)


async def _params(job: Job, start: Start) -> TurnStartParams:
    files = changed_files(start.paths)
    if job.files:
        files += await trio.to_thread.run_sync(read_attachments, job.files)
    approvals = job.approvals
    if approvals == ():
        approvals = ("deny",)
    return TurnStartParams(
        message=job.message, skill=job.skill, model=job.model, files=files, approvals=approvals,
        cwd=None if job.cwd is None else str(job.cwd), detach=True,
    )  # fmt: skip


def _end_of(job: Job, outcome: TurnResult | RpcError) -> RunEnd | None:
    if isinstance(outcome, ShuttingDown):
        return None
    if isinstance(outcome, RpcError):
        return RunEnd(status="failed", why=outcome.message, again=True)
    if job.log_output:
        log.info("job %s answers: %s", job.name, outcome.text[:_MOST_LOGGED])
    match outcome.finish_reason:
        case "cancelled":
            return RunEnd(status="failed", why=CANCELLED)
        case "iteration_limit":
            return RunEnd(status="failed", why="it needed more steps than it may take", again=True)
        case _:
            return RunEnd(status="ok")
