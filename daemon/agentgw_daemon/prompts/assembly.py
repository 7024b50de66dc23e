"""Assembly of a request: a prompt fitted to the context of its model, and all that is sent with it.

Turns, dry runs, turns computed beforehand or gone on with, replays and measurements of skills get their requests here,
so that what a model is shown of a session is decided in one place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from agentgw.protocol.calls.turns import PromptHistory
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference.engine import GenerationRequest, PromptMessage
from agentgw_daemon.prompts.compaction import Compacted, Fitting, as_shown, compacted
from agentgw_daemon.prompts.prompt import Prompt, fit


@record
class Assembled:
    """The messages of a request, how earlier turns stand in them, and what is told of that.

    `left_out_turns`: so many of the oldest went, and `left_out_tokens` with them, beside those that were left out when
    it was shown before. `notice` is about a summary; `due_turns`: so many of the oldest are still to be summarised.
    """

    base: GenerationRequest
    messages: tuple[ChatMessage, ...]
    history: PromptHistory
    left_out_turns: int = 0
    left_out_tokens: int = 0
    notice: str | None = None
    due_turns: int = 0

    @property
    def request(self) -> GenerationRequest:
        """The request with its messages."""
        return dataclasses.replace(self.base, messages=self.messages)


def generation_request(
    options: Options,
    *,
    messages: tuple[PromptMessage, ...] = (),
    seed: int | None = None,
    skill: bool = False,
    background: bool = False,
    whole: bool = False,
    recompute: bool = False,
    schema: Mapping[str, Any] | None = None,
) -> GenerationRequest:
    """A request, as a rule without its messages, which `assemble` adds.

    An explicit seed promises the same text, so all is computed anew; `recompute` has that done without one.
    """
    return GenerationRequest(
        messages=messages, options=options, recompute=recompute or options.seed is not None, fallback_seed=seed,
        skill=skill, background=background, whole=whole, schema=schema,
    )  # fmt: skip


async def assemble(
    prompt: Prompt, base: GenerationRequest, fitting: Fitting | None = None, *, shown: PromptHistory | None = None
) -> Assembled:
    """The request for a prompt. `base` is all of it but the messages.

    `shown` is how a model was shown the prompt before, by what is on record. Without `fitting` the prompt goes as it
    is; with it, the oldest turns are summarised or left out where the context ends. What was shown before is not
    summarised anew. Raises ContextOverflow when the last message alone does not fit, and what counting raises.
    """
    if shown is not None:
        prompt = as_shown(prompt, shown)
    if fitting is None or fitting.is_sure(prompt):
        return Assembled(base=base, messages=prompt.messages(), history=_history(prompt, shown))
    max_tokens = base.options.max_tokens
    made = await compacted(prompt, fitting, max_tokens) if shown is None else Compacted(prompt=prompt)
    fitted = await fit(made.prompt, fitting.count, max_tokens=max_tokens, model=fitting.model)
    return Assembled(
        base=base, messages=fitted.messages, history=_history(made.prompt, shown, fitted.left_out_turns),
        left_out_turns=fitted.left_out_turns, left_out_tokens=fitted.left_out_tokens, notice=made.notice,
        due_turns=made.due,
    )  # fmt: skip


def _history(prompt: Prompt, shown: PromptHistory | None, left_out_turns: int = 0) -> PromptHistory:
    if shown is not None:
        return dataclasses.replace(shown, left_out_turns=shown.left_out_turns + left_out_turns)
    turns, summary = prompt.summarised
    return PromptHistory(
        left_out_turns=left_out_turns, summarised_turns=turns, summary=summary, excerpts=prompt.excerpts
    )
