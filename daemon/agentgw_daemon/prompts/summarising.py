"""Summaries of turns as a model writes them: what it is asked, and what it is given to read."""

from __future__ import annotations

import dataclasses
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference.engine import Engine, GenerationRequest, TextDelta
from agentgw_daemon.inference.hearing import hear
from agentgw_daemon.prompts.prompt import SUMMARY, EarlierTurn

# A page of text; on a small context at most an eighth, or it would soon be all there is.
_SUMMARY_TOKENS: Final = 256
_SUMMARY_SHARE: Final = 8
# 256 tokens and half a context of prompt take a slow laptop a minute; who waits longer is better off without.
SUMMARY_S: Final = 120.0

_SYSTEM: Final = "You summarise conversations. You write short, plain notes and nothing else."
_TASK: Final = (
    "Summarise the conversation above so that it can be continued from your notes: who the user is, what they want,"
    " names, numbers, decisions and open questions. At most {words} words. Do not answer it, do not add to it."
)


@record
class SummaryJob:
    """Work of one call: an earlier summary, if any, and the turns that follow it."""

    earlier: str
    turns: tuple[EarlierTurn, ...]
    budget: int

    def request(self) -> GenerationRequest:
        """The request that a model is sent."""
        parts = [SUMMARY + self.earlier] if self.earlier else []
        for exchange in self.turns:
            parts += [f"{message.role.capitalize()}: {message.content}" for message in exchange.messages]
        # English takes about four tokens for three words.
        parts.append(_TASK.format(words=self.budget * 3 // 4))
        messages = (
            ChatMessage(role="system", content=_SYSTEM), ChatMessage(role="user", content="\n\n".join(parts)),
        )  # fmt: skip
        return GenerationRequest(messages=messages, options=Options(temperature=0.0, max_tokens=self.budget))


def summary_budget(n_ctx_tokens: int) -> int:
    """Tokens that a summary may take of such a context."""
    return max(min(_SUMMARY_TOKENS, n_ctx_tokens // _SUMMARY_SHARE), 1)


async def readable(job: SummaryJob, engine: Engine, room: int) -> tuple[SummaryJob, int]:
    """The job without as many of its oldest turns as one call has no room for, and how many those are."""
    low, high = 0, len(job.turns)
    while low < high:
        middle = (low + high) // 2
        shorter = dataclasses.replace(job, turns=job.turns[middle:])
        if (await engine.count(shorter.request().messages)).tokens <= room:
            high = middle
        else:
            low = middle + 1
    return dataclasses.replace(job, turns=job.turns[low:]), low


async def written(job: SummaryJob, engine: Engine) -> str:
    """The model's summary. Raises what its stream raises; whoever calls it sets a limit."""
    texts: list[str] = []
    async with hear(engine, job.request()) as events:
        async for event in events:
            if isinstance(event, TextDelta) and event.channel == "answer":
                texts.extend(event.texts)
    return "".join(texts).strip()
