"""Long sessions: the oldest turns as a summary, once they no longer fit their model's context.

The turns stay in the session; only what the model is shown changes. One model call makes a summary, and it is stored,
so that the next turns have it for nothing. Nothing here may cost a turn its answer: a summary that fails, says nothing
or saves nothing leaves the prompt as it was, and `prompt.fit` leaves out the oldest turns.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Final

import trio

from agentgw.protocol.calls.turns import PromptHistory
from agentgw.protocol.errors import RpcError
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import ChatMessage
from agentgw_daemon.inference.engine import Engine
from agentgw_daemon.prompts.prompt import (
    EarlierTurn,
    Prompt,
    PromptCounter,
    answer_reserve,
    fewest_left_out,
    history_of,
    place_of,
    summed_up,
    surely_fits,
)
from agentgw_daemon.prompts.summarising import SUMMARY_S, SummaryJob, readable, summary_budget, written
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.sessions.summaries import Summary

log = logging.getLogger(__name__)

# Turns kept word for word leave half of the context free: a summary then lasts for several turns.
_KEPT_SHARE: Final = 2


@record
class Fitting:
    """Means to make a prompt fit. `count` counts it with all that is sent with it.

    Without a `database` nothing is summarised, for nothing may be stored; without `write` no new summary is made.
    """

    engine: Engine
    count: PromptCounter
    model: str
    session_id: str = ""
    database: Database | None = None
    write: bool = True
    # Context the settings ask for, 0 leaves it to the worker: nobody counts what fits there by its bytes. None: all is
    # counted.
    n_ctx_tokens: int | None = None
    # Tells whether more goes with these messages than they hold.
    shows_tools: Callable[[tuple[ChatMessage, ...]], bool] | None = None

    def is_sure(self, prompt: Prompt) -> bool:
        """Tells whether the bytes alone prove that the prompt fits, so that nobody needs to count."""
        if self.n_ctx_tokens is None or not surely_fits(prompt, self.n_ctx_tokens):
            return False
        return self.shows_tools is None or not self.shows_tools(prompt.messages())


@record
class Compacted:
    """The prompt to send on to `fit`. `notice`: what was done to it, for a `context_compacted`."""

    prompt: Prompt
    notice: str | None = None
    # So many of the oldest turns are still to be summarised, which was not wanted.
    due: int = 0


def with_summary(prompt: Prompt, summary: Summary) -> Prompt:
    """The prompt with the summary in place of the turns it stands for; as it is when they are not in its history."""
    done = place_of(summary.upto_turn_id, prompt.history)
    return _replaced(prompt, done, summary.text) if done else prompt


def as_shown(prompt: Prompt, history: PromptHistory) -> Prompt:
    """The prompt as a model was shown it before, by what is on record of that."""
    if history.summary is not None:
        prompt = _replaced(prompt, history.summarised_turns, history.summary)
    return dataclasses.replace(prompt, history=prompt.history[history.left_out_turns :], excerpts=history.excerpts)


async def shown_history(database: Database, session_id: str) -> tuple[EarlierTurn, ...]:
    """A session's turns as its next turn is to be shown them: under the summary that was asked for, if one was."""
    history = history_of(await database.sessions.whole_history(session_id))
    asked = await database.summaries.latest(session_id, asked=True) if history else None
    done = 0 if asked is None else place_of(asked.upto_turn_id, history)
    return history if asked is None or not done else summed_up(history, done, asked.text)


async def compacted(prompt: Prompt, fitting: Fitting, max_tokens: int | None) -> Compacted:
    """The prompt, with a summary for the oldest turns where `fit` would leave some out.

    Costs one count when all fits, and a model call when neither that nor a stored summary helps. Raises what counting
    raises; a model that fails to summarise is logged.
    """
    database, engine, count, session_id = fitting.database, fitting.engine, fitting.count, fitting.session_id
    if database is None or not prompt.history:
        return Compacted(prompt=prompt)
    counted = await count(prompt.messages())
    room = counted.n_ctx_tokens - answer_reserve(max_tokens, counted.n_ctx_tokens)
    if counted.tokens <= room:
        return Compacted(prompt=prompt)
    stored = await _stored(database, session_id)
    done = 0 if stored is None else place_of(stored.upto_turn_id, prompt.history)
    if stored is not None and done:
        base = with_summary(prompt, stored)
        if (await count(base.messages())).tokens <= room:
            return Compacted(prompt=base, notice=_notice(base))
    budget = summary_budget(counted.n_ctx_tokens)
    upto = await _turns_to_go(prompt, done, count, room - budget, counted.n_ctx_tokens // _KEPT_SHARE)
    if upto is None or not fitting.write:
        return Compacted(prompt=prompt, due=sum(one.turns for one in prompt.history[: upto or 0]))
    earlier = stored.text if stored is not None and done else ""
    job = SummaryJob(earlier=earlier, turns=prompt.history[done:upto], budget=budget)
    job, unread = await readable(job, engine, counted.n_ctx_tokens - budget)
    text = await _summarised(job, engine, session_id, fitting.model) if job.turns else ""
    made = _replaced(prompt, upto, text)
    # Also what shows that the summary is shorter than what it replaces: that did not fit.
    if not text or (await count(made.messages())).tokens > room:
        return Compacted(prompt=prompt)
    await _store(database, session_id, prompt.history[upto - 1].turn_id, text)
    return Compacted(prompt=made, notice=_notice(made, unread))


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


async def _summarised(job: SummaryJob, engine: Engine, session_id: str, model: str) -> str:
    """The model's summary; nothing when it failed or took too long."""
    try:
        with trio.move_on_after(SUMMARY_S):
            return await written(job, engine)
    except RpcError as error:
        log.warning("session %s was not summarised by %s: %s", session_id, model, error.message)
        return ""
    log.warning("session %s was not summarised: %s took longer than %.0f s", session_id, model, SUMMARY_S)
    return ""


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


def _replaced(prompt: Prompt, entries: int, text: str) -> Prompt:
    """The prompt with a summary's text in place of so many of its oldest entries."""
    return dataclasses.replace(prompt, history=summed_up(prompt.history, entries, text))


def _notice(prompt: Prompt, unread: int = 0) -> str:
    turns, _ = prompt.summarised
    shown = "the oldest turn is shown" if turns == 1 else f"the {turns} oldest turns are shown"
    missing = f", {unread} of them not even in that" if unread else ""
    return f"{shown} to the model as a summary{missing}"
