"""Plan of a turn: what is known of it before it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from agentgw.protocol.calls.turns import PromptHistory
from agentgw.protocol.records.schema import record
from agentgw_daemon.agent.loop import AgentTask
from agentgw_daemon.knowledge.grounding import Grounding
from agentgw_daemon.prompts.prompt import EarlierTurn, Prompt, prompt_of

if TYPE_CHECKING:
    from agentgw_daemon.agent.tool_runner import ToolRunner
    from agentgw_daemon.events.turn_state import TurnState


@record
class Plan:
    """Plan of a turn: all that it needs to know before it runs.

    `history` is asked when the turn runs, not before: until the turn is stored, another may still end in its session.
    """

    system: str
    message: str
    history: Callable[[], Awaitable[tuple[EarlierTurn, ...]]]
    task: AgentTask
    # Context the settings ask for; 0 leaves it to the worker.
    n_ctx_tokens: int = 0
    # Makes what the model may call; without it, nothing.
    make_tools: Callable[[TurnState], Awaitable[ToolRunner]] | None = None
    # Gives the prompt pieces of the user's documents; without it, none.
    grounding: Grounding | None = None
    # How the prompt was shown to the model under an earlier daemon, which began the task.
    shown: PromptHistory | None = None

    async def prompt(self) -> Prompt:
        """The prompt before documents are quoted in it."""
        return prompt_of(self.system, await self.history(), self.message, self.task.request.schema)
