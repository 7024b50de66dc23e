"""Assembly of a request: a prompt fitted to the context of its model, and all that is sent with it.

Turns, dry runs, turns that are gone on with, replays and measurements of skills get their requests here, so that
what a model is shown of a session is decided in one place.
"""

from __future__ import annotations

import dataclasses

from agentgw.protocol.calls.turns import PromptHistory
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import ChatMessage
from agentgw_daemon.inference.engine import GenerationRequest
from agentgw_daemon.prompts.compaction import Fitting, as_shown, compacted
from agentgw_daemon.prompts.prompt import Prompt, fit


@record
class Assembled:
    """The messages of a request, how earlier turns stand in them, and what is told of that.

    `notice` is about a summary; `due_turns`: so many of the oldest turns are still to be summarised.
    """

    base: GenerationRequest
    messages: tuple[ChatMessage, ...]
    history: PromptHistory
    left_out_tokens: int = 0
    notice: str | None = None
    due_turns: int = 0

    @property
    def request(self) -> GenerationRequest:
        """The request with its messages."""
        return dataclasses.replace(self.base, messages=self.messages)


async def assemble(
    prompt: Prompt, base: GenerationRequest, fitting: Fitting | None = None, *, shown: PromptHistory | None = None
) -> Assembled:
    """The request for a prompt. `base` is all of it but the messages.

    `shown` is how a model was shown the prompt before, by what is on record. Without `fitting` the prompt goes as it
    is; with it, the oldest turns are summarised or left out where the context ends. Raises ContextOverflow when the
    last message alone does not fit, and what counting raises.
    """
    if shown is not None:
        prompt = as_shown(prompt, shown)
    if fitting is None:
        history = shown if shown is not None else _history(prompt)
        return Assembled(base=base, messages=prompt.messages(), history=history)
    max_tokens = base.options.max_tokens
    made = await compacted(prompt, fitting, max_tokens)
    fitted = await fit(made.prompt, fitting.count, max_tokens=max_tokens, model=fitting.model)
    return Assembled(
        base=base, messages=fitted.messages, history=_history(made.prompt, fitted.left_out_turns),
        left_out_tokens=fitted.left_out_tokens, notice=made.notice, due_turns=made.due,
    )  # fmt: skip


def _history(prompt: Prompt, left_out_turns: int = 0) -> PromptHistory:
    turns, summary = prompt.summarised
    return PromptHistory(
        left_out_turns=left_out_turns, summarised_turns=turns, summary=summary, excerpts=prompt.excerpts
    )
