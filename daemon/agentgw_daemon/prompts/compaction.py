"""Long sessions: the oldest turns as a summary, once they no longer fit their model's context.

The turns stay in the session; only what the model is shown changes. One model call makes a summary, and it is stored,
so that the next turns have it for nothing. Nothing here may cost a turn its answer: a summary that fails, says nothing
or saves nothing leaves the prompt as it was, and `prompt.fit` leaves out the oldest turns.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Final

import trio

from agentgw.protocol.errors import RpcError
from agentgw.protocol.replays import PromptHistory
from agentgw.protocol.schema import record
from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference.engine import Engine, GenerationRequest, TextDelta
from agentgw_daemon.inference.hearing import hear
from agentgw_daemon.prompts.prompt import EarlierTurn, Prompt, PromptCounter, answer_reserve, fewest_left_out
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.summaries import Summary

log = logging.getLogger(__name__)

# A page of text; on a small context at most an eighth, or it would soon be all there is.
_SUMMARY_TOKENS: Final = 256
_SUMMARY_SHARE: Final = 8
# Turns kept word for word leave half of the context free: a summary then lasts for several turns.
_KEPT_SHARE: Final = 2
# 256 tokens and half a context of prompt take a slow laptop a minute; who waits longer is better off without.
_SUMMARY_S: Final = 120.0

_SYSTEM: Final = "You summarise conversations. You write short, plain notes and nothing else."
_TASK: Final = (
    "Summarise the conversation above so that it can be continued from your notes: who the user is, what they want,"
    " names, numbers, decisions and open questions. At most {words} words. Do not answer it, do not add to it."
)
# A pair, because many chat templates refuse two messages of the user in a row.
_SUMMARY: Final = "Summary of our conversation so far:\n"
_NOTED: Final = "Noted. I will go on from there."


@record
class Compacted:
    """The prompt to send on to `fit`. `notice`: what was done to it, for a `context_trimmed`."""

    prompt: Prompt
    notice: str | None = None
    # The summary that stands in it for so many of the oldest turns.
    turns: int = 0
    summary: str | None = None
    # So many of the oldest turns are still to be summarised, which was not wanted.
    due: int = 0


@record
class _SummaryJob:
    """Work of one call: an earlier summary, if any, and the turns that follow it."""

    earlier: str
    turns: tuple[EarlierTurn, ...]
    budget: int

    def request(self) -> GenerationRequest:
        parts = [_SUMMARY + self.earlier] if self.earlier else []
        for exchange in self.turns:
            parts += [f"{message.role.capitalize()}: {message.content}" for message in exchange.messages]
        # English takes about four tokens for three words.
        parts.append(_TASK.format(words=self.budget * 3 // 4))
        messages = (
            ChatMessage(role="system", content=_SYSTEM), ChatMessage(role="user", content="\n\n".join(parts)),
        )  # fmt: skip
        return GenerationRequest(messages=messages, options=Options(temperature=0.0, max_tokens=self.budget))


def with_summary(prompt: Prompt, turn_ids: Sequence[str], summary: Summary) -> Prompt:
    """The prompt with the summary in place of the turns it stands for; as it is when they are not in its history."""
    if summary.upto_turn_id not in turn_ids:
        return prompt
    return _replaced(prompt, list(turn_ids).index(summary.upto_turn_id) + 1, summary.text)


def as_shown(prompt: Prompt, history: PromptHistory) -> Prompt:
    """The prompt as a model was shown it before, by what is on record of that."""
    if history.summary is not None:
        prompt = _replaced(prompt, history.summarised_turns, history.summary)
    return dataclasses.replace(prompt, history=prompt.history[history.left_out_turns :], excerpts=history.excerpts)


async def compacted(
    prompt: Prompt,
    *,
    session_id: str,
    turn_ids: Sequence[str],
    database: Database | None,
    engine: Engine,
    count: PromptCounter | None = None,
    max_tokens: int | None,
    model: str,
    write: bool = True,
) -> Compacted:
    """The prompt, with a summary for the oldest turns where `fit` would leave some out.

    `turn_ids` name the turns of `prompt.history`, one each. Costs one count when all fits, a model call when neither
    that nor a stored summary helps. `count` counts the prompt with all that is sent with it; otherwise the engine does.
    Without a database nothing is summarised, for nothing may be stored; without `write` no new summary is made. Raises
    what `engine.count` raises; a model that fails to summarise is logged.
    """
    assert len(turn_ids) == len(prompt.history)
    if database is None or not prompt.history:
        return Compacted(prompt=prompt)
    count = count or engine.count
    counted = await count(prompt.messages())
    room = counted.n_ctx_tokens - answer_reserve(max_tokens, counted.n_ctx_tokens)
    if counted.tokens <= room:
        return Compacted(prompt=prompt)
    stored = await _stored(database, session_id)
    base, done = prompt, 0
    if stored is not None and stored.upto_turn_id in turn_ids:
        done = list(turn_ids).index(stored.upto_turn_id) + 1
        base = with_summary(prompt, turn_ids, stored)
        if (await count(base.messages())).tokens <= room:
            return Compacted(prompt=base, notice=_notice(done), turns=done, summary=stored.text)
    budget = max(min(_SUMMARY_TOKENS, counted.n_ctx_tokens // _SUMMARY_SHARE), 1)
    upto = await _turns_to_go(prompt, done, count, room - budget, counted.n_ctx_tokens // _KEPT_SHARE)
    if upto is None or not write:
        return Compacted(prompt=prompt, due=upto or 0)
    earlier = stored.text if stored is not None and done else ""
    job = _SummaryJob(earlier=earlier, turns=prompt.history[done:upto], budget=budget)
    job, unread = await _readable(job, engine, counted.n_ctx_tokens - budget)
    text = await _summarised(job, engine, session_id, model) if job.turns else ""
    made = _replaced(prompt, upto, text)
    # Also what shows that the summary is shorter than what it replaces: that did not fit.
    if not text or (await count(made.messages())).tokens > room:
        return Compacted(prompt=prompt)
    await _store(database, session_id, turn_ids[upto - 1], text)
    return Compacted(prompt=made, notice=_notice(upto, unread), turns=upto, summary=text)


async def _turns_to_go(prompt: Prompt, done: int, count: PromptCounter, most: int, wanted: int) -> int | None:
    """The number of the oldest turns that the summary has to stand for, those of the earlier one included.

    Enough that the rest takes `wanted` tokens, but not the last turn if the context has room for it (`most` tokens).
    None when the message alone takes more, so that no summary helps, or when nothing new would be summarised.
    """
    turns = len(prompt.history)
    if (await count(prompt.messages(turns))).tokens > most:
        return None
    upto = await fewest_left_out(prompt, count, min(wanted, most))
    if upto == turns and turns > done + 1 and (await count(prompt.messages(turns - 1))).tokens <= most:
        upto = turns - 1
    return upto if upto > done else None


async def _readable(job: _SummaryJob, engine: Engine, room: int) -> tuple[_SummaryJob, int]:
    """The job without as many of its oldest turns as one call has no room for, and how many those are."""
    low, high = 0, len(job.turns)
    while low < high:
        middle = (low + high) // 2
        shorter = _SummaryJob(earlier=job.earlier, turns=job.turns[middle:], budget=job.budget)
        if (await engine.count(shorter.request().messages)).tokens <= room:
            high = middle
        else:
            low = middle + 1
    return _SummaryJob(earlier=job.earlier, turns=job.turns[low:], budget=job.budget), low


async def _summarised(job: _SummaryJob, engine: Engine, session_id: str, model: str) -> str:
    """The model's summary; nothing when it failed or took too long."""
    texts: list[str] = []
    try:
        with trio.move_on_after(_SUMMARY_S) as scope:
            async with hear(engine, job.request()) as events:
                async for event in events:
                    if isinstance(event, TextDelta) and event.channel == "answer":
                        texts.extend(event.texts)
    except RpcError as error:
        log.warning("session %s was not summarised by %s: %s", session_id, model, error.message)
        return ""
    if scope.cancelled_caught:
        log.warning("session %s was not summarised: %s took longer than %.0f s", session_id, model, _SUMMARY_S)
        return ""
    return "".join(texts).strip()


async def _stored(database: Database, session_id: str) -> Summary | None:
    try:
        return await database.summaries.latest(session_id)
    except RpcError as error:
        log.warning("session %s: no summary could be read: %s", session_id, error.message)
        return None


async def _store(database: Database, session_id: str, upto_turn_id: str, text: str) -> None:
    try:
        await database.summaries.add(session_id, upto_turn_id, text)
    except RpcError as error:
        # It serves this turn all the same; the next one makes its own.
        log.warning("session %s: its summary was not stored: %s", session_id, error.message)


def _replaced(prompt: Prompt, turns: int, text: str) -> Prompt:
    """The prompt with a summary's text in place of so many of its oldest turns."""
    stand_in = EarlierTurn(
        messages=(
            ChatMessage(role="user", content=_SUMMARY + text), ChatMessage(role="assistant", content=_NOTED),
        )
    )  # fmt: skip
    return dataclasses.replace(prompt, history=(stand_in, *prompt.history[turns:]))


def _notice(turns: int, unread: int = 0) -> str:
    shown = "the oldest turn is shown" if turns == 1 else f"the {turns} oldest turns are shown"
    missing = f", {unread} of them not even in that" if unread else ""
    return f"{shown} to the model as a summary{missing}"
