"""A session's oldest turns summed up because the user asks for it, and shown whole again.

The turns stay as they are stored. The summary is shown in their place by every turn from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from agentgw.protocol.calls.sessions import SessionCompacted, SessionCompactParams, SessionExpanded
from agentgw.protocol.errors import AlreadyExists, NotFound, Timeout
from agentgw_daemon.prompts.prompt import EarlierTurn, Prompt, history_of, place_of, summed_up
from agentgw_daemon.prompts.summarising import SUMMARY_S, SummaryJob, readable, summary_budget, written

if TYPE_CHECKING:
    from agentgw_daemon.inference.engine import Engine, PromptCount
    from agentgw_daemon.services import Services


async def compact(services: Services, params: SessionCompactParams) -> SessionCompacted:
    """Sum the oldest turns up, on top of an earlier summary. Stores nothing where that saves no tokens.

    Raises NotFound where there is no turn to sum up, AlreadyExists where all of them are, and the model's errors.
    """
    database = services.database
    session_id = (await database.sessions.get(params.session_id)).session_id
    turns = history_of(await database.sessions.whole_history(session_id))
    upto = len(turns) - params.keep
    if upto < 1:
        raise NotFound(
            f"there is nothing to sum up: turns of the session: {len(turns)}, of which stay as they are: {params.keep}",
            hint="sum it up when it is longer", kind="turn", id=session_id,
        )  # fmt: skip
    stored = await database.summaries.latest(session_id)
    done = 0 if stored is None else place_of(stored.upto_turn_id, turns)
    asked = await database.summaries.latest(session_id, asked=True)
    asked_done = 0 if asked is None else place_of(asked.upto_turn_id, turns)
    if asked_done >= upto:
        raise AlreadyExists(
            f"a summary stands for the {asked_done} oldest turns already",
            hint=f"agentgw sessions expand {session_id} takes it back", kind="summary", id=session_id,
        )  # fmt: skip
    before = turns if asked is None or not asked_done else summed_up(turns, asked_done, asked.text)
    engine = await _engine(services, session_id, params.model)
    counted = await _count(engine, before)
    if stored is not None and done >= upto:
        # Made for a prompt that did not fit, or taken back: no model has to write it again.
        upto, text = done, stored.text
    else:
        earlier = stored.text if stored is not None and done else ""
        text = await _written(engine, turns[done:upto], earlier, counted.n_ctx_tokens)
    after = await _count(engine, summed_up(turns, upto, text))
    if not text or after.tokens >= counted.tokens:
        return SessionCompacted(
            session_id=session_id, turns=asked_done, summary=asked.text if asked is not None and asked_done else None,
            tokens_before=counted.tokens, tokens_after=counted.tokens,
        )  # fmt: skip
    await database.summaries.add(session_id, turns[upto - 1].turn_id, text, asked=True)
    return SessionCompacted(
        session_id=session_id, turns=upto, summary=text, tokens_before=counted.tokens, tokens_after=after.tokens
    )


async def expand(services: Services, session_id: str) -> SessionExpanded:
    """Take the last summary that was asked for back. Raises NotFound where there is none."""
    database = services.database
    session_id = (await database.sessions.get(session_id)).session_id
    if await database.summaries.take_back(session_id) is None:
        raise NotFound("all turns of the session are shown whole", kind="summary", id=session_id)
    earlier = await database.summaries.latest(session_id, asked=True)
    turns = history_of(await database.sessions.whole_history(session_id))
    return SessionExpanded(session_id=session_id, turns=place_of(earlier.upto_turn_id, turns) if earlier else 0)


async def _engine(services: Services, session_id: str, model: str | None) -> Engine:
    last = await services.database.turns.latest(session_id)
    spec = await services.models.resolve_to_answer(model or (last.model if last is not None else None))
    return await services.pool.engine(spec)


async def _count(engine: Engine, history: tuple[EarlierTurn, ...]) -> PromptCount:
    return await engine.count(Prompt(system="", history=history, message="").messages())


async def _written(engine: Engine, turns: tuple[EarlierTurn, ...], earlier: str, n_ctx_tokens: int) -> str:
    budget = summary_budget(n_ctx_tokens)
    job, _ = await readable(SummaryJob(earlier=earlier, turns=turns, budget=budget), engine, n_ctx_tokens - budget)
    try:
        with trio.fail_after(SUMMARY_S):
            return await written(job, engine) if job.turns else ""
    except trio.TooSlowError:
        raise Timeout(f"the summary took longer than {SUMMARY_S:.0f} s", timeout_s=SUMMARY_S) from None
