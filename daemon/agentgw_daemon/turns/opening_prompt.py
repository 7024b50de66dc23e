"""Opening prompt of a turn: put together here for running, resumption, dry run and prefill.

Documents are quoted in it, the tools are made, the model says how it is shown them; then all is fitted to the context.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from agentgw.protocol.events import TurnNotice, TurnProgress
from agentgw.protocol.records.schema import record
from agentgw_daemon.agent.opening import TurnOpening, opening_of
from agentgw_daemon.knowledge.grounding import grounded
from agentgw_daemon.prompts.assembly import Assembled, assemble
from agentgw_daemon.prompts.compaction import Fitting

if TYPE_CHECKING:
    from agentgw_daemon.agent.tool_runner import ToolRunner
    from agentgw_daemon.events.turn_state import TurnState
    from agentgw_daemon.prompts.prompt import Prompt
    from agentgw_daemon.storage.database import Database
    from agentgw_daemon.turns.plan import Plan


@record
class OpeningPrompt:
    """The prompt of a turn before it is fitted, the turn's tools, and how its model is shown them.

    Of a turn that an earlier daemon began the latter is not known yet: its model need not be loaded for its question.
    """

    plan: Plan
    turn: TurnState
    prompt: Prompt
    tools: ToolRunner | None
    opening: TurnOpening

    async def assembled(self, database: Database | None, *, preview: bool = False) -> Assembled:
        """The request that is sent first. Watchers of the turn are told what was done to make it fit.

        Without a `database` nothing is summarised. A `preview` is always counted, and has no model write a summary.
        Raises what `assemble` raises.
        """
        plan, turn, opening = self.plan, self.turn, self.opening
        base = dataclasses.replace(plan.task.request, cache_scope=turn.session_id if turn.stored else "")
        if plan.shown is not None:
            return await assemble(self.prompt, base, shown=plan.shown)
        fitting = Fitting(
            engine=plan.task.engine, count=opening.count, model=turn.model, session_id=turn.session_id,
            database=database, write=not preview, n_ctx_tokens=None if preview else plan.n_ctx_tokens,
            shows_tools=opening.shows_tools,
        )  # fmt: skip
        if opening.tool_calling is None and not fitting.is_sure(self.prompt):
            await turn.log.append(TurnProgress(phase="loading"))
        made = await assemble(self.prompt, base, fitting)
        if made.notice:
            await turn.log.append(TurnNotice(code="context_compacted", text=made.notice))
        if made.left_out_turns:
            text = _left_out(made.left_out_turns, made.left_out_tokens)
            await turn.log.append(TurnNotice(code="context_trimmed", text=text))
        return made


async def opening_prompt(plan: Plan, turn: TurnState, *, documents: bool = True) -> OpeningPrompt:
    """The prompt with the tools that `turn` is to have. Loads the model where it has to know how they are called.

    A turn that an earlier daemon began is shown as it was then, and no model is asked.
    """
    task = plan.task
    prompt = await plan.prompt()
    # Before the tools: what is quoted decides what they may do unasked.
    if documents:
        prompt = await _with_documents(prompt, plan, turn)
    tools = await plan.make_tools(turn) if plan.make_tools is not None else None
    opening = await opening_of(
        task.engine, tools if plan.shown is None else None, task.request.schema, turn.log.append
    )  # fmt: skip
    return OpeningPrompt(plan=plan, turn=turn, prompt=prompt, tools=tools, opening=opening)


async def _with_documents(prompt: Prompt, plan: Plan, turn: TurnState) -> Prompt:
    """The prompt, with pieces of the user's documents where the skill wants them; watchers are told which."""
    if plan.grounding is None:
        return prompt
    made = await grounded(prompt, plan.grounding, plan.task.engine.count)
    if made.notice:
        await turn.log.append(TurnNotice(code="documents", text=made.notice))
    if made.prompt.excerpts:
        turn.tainted = True
        await turn.cite(made.prompt.excerpts)
    return made.prompt


def _left_out(turns: int, tokens: int) -> str:
    if turns == 1:
        return f"the oldest turn ({tokens} tokens) was left out"
    return f"the {turns} oldest turns ({tokens} tokens) were left out"
