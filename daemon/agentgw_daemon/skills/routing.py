"""Which skill a message is for: by words where they are clear, else by asking the model once, where that is wanted.

The model sees names and descriptions only and can answer nothing but one of the names. Whatever goes wrong with it,
and whenever it takes too long, the words decide: routing fails with nothing but an empty library.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import trio

from agentgw.errors import RpcError
from agentgw.events import TurnNotice
from agentgw.types import ChatMessage, Options, SkillMatch
from agentgw_daemon.inference.engine import Delta, Request
from agentgw_daemon.skills.keywords import MAX_MESSAGE_CHARACTERS, Match, is_clear, rank

if TYPE_CHECKING:
    from agentgw_daemon.inference.pool import Pool
    from agentgw_daemon.models.registry import Registry
    from agentgw_daemon.services import Services
    from agentgw_daemon.skills.model import LoadedSkill
    from agentgw_daemon.skills.shelf import Shelf

log = logging.getLogger(__name__)

# `agent.default_skill` that means: the skill a message is routed to.
AUTO: Final = "auto"
# Made for anything that no other skill is made for.
FALLBACK: Final = "general-assistant"
# Somebody waits for the answer that comes after this.
_TIMEOUT_S: Final = 5.0
# A name is at most 64 characters, and quotes.
_OPTIONS: Final = Options(temperature=0.0, max_tokens=40)
# The prompt has to stay small beside what it decides about; a description's first words say most.
_MAX_DESCRIPTION: Final = 160
_MAX_ASKED: Final = 32
_MAX_WORDS_SHOWN: Final = 5


async def route(message: str, shelf: Shelf, services: Services) -> tuple[SkillMatch, ...]:
    """All usable skills of the shelf ranked, the one to take first.

    Takes at most five seconds; never raises an RpcError.
    """
    return await _route(
        message, shelf.usable(), ask_model=services.settings.agent.route_by == "model",
        models=services.models, pool=services.pool,
    )  # fmt: skip


async def choose(message: str, shelf: Shelf, services: Services) -> tuple[str, tuple[TurnNotice, ...]]:
    """The skill of a new session that names none, and what to tell the user about it.

    With no usable skill at all it is the general assistant, which is not there either: asking the shelf says so.
    """
    ranked = await route(message, shelf, services)
    if not ranked:
        return FALLBACK, ()
    best = ranked[0]
    return best.name, (TurnNotice(code="routed", text=f"skill {best.name} ({best.reason})"),)


async def _route(
    message: str, skills: Sequence[LoadedSkill], *, ask_model: bool, models: Registry, pool: Pool
) -> tuple[SkillMatch, ...]:
    ranked = rank(message, skills)
    if not ask_model or len(ranked) < 2 or is_clear(ranked):
        return by_words(ranked)
    asked = {match.name for match in ranked[:_MAX_ASKED]} | {FALLBACK}
    chosen = await _ask(message, [skill for skill in skills if skill.name in asked], models=models, pool=pool)
    if chosen is None:
        return by_words(ranked)
    name, model = chosen
    return _first(ranked, name, f"chosen by {model}")


def by_words(ranked: Sequence[Match]) -> tuple[SkillMatch, ...]:
    """The ranking by words; where they are unclear, the general assistant comes first, if there is one."""
    if is_clear(ranked) or all(match.name != FALLBACK for match in ranked):
        return tuple(_by_words(match) for match in ranked)
    reason = "words: none of any skill" if ranked[0].score <= 0 else "words: no skill stands out"
    return _first(ranked, FALLBACK, reason)


def _first(ranked: Sequence[Match], name: str, reason: str) -> tuple[SkillMatch, ...]:
    first = next(match for match in ranked if match.name == name)
    rest = tuple(_by_words(match) for match in ranked if match.name != name)
    return (SkillMatch(name=name, score=first.score, reason=reason), *rest)


def _by_words(match: Match) -> SkillMatch:
    words = ", ".join(match.words[:_MAX_WORDS_SHOWN]) or "none"
    return SkillMatch(name=match.name, score=match.score, reason=f"words: {words}")


async def _ask(message: str, skills: Sequence[LoadedSkill], *, models: Registry, pool: Pool) -> tuple[str, str] | None:
    """The skill the default model names, and the model's name; None when it names none in time."""
    names = {skill.name for skill in skills}
    try:
        with trio.move_on_after(_TIMEOUT_S):
            spec = await models.resolve_to_answer(None)
            engine = await pool.engine(spec)
            text = ""
            async with engine.stream(question(message, skills)) as events:
                async for event in events:
                    if isinstance(event, Delta) and event.channel == "answer":
                        text += "".join(event.texts)
            name = json.loads(text)
            if isinstance(name, str) and name in names:
                return name, spec.name
    except RpcError as error:
        log.info("routing without a model: %s", error.message)
    except ValueError:  # an engine that cannot be held to a schema, such as echo, said something else
        log.debug("routing without a model: its answer was no skill")
    return None


def question(message: str, skills: Sequence[LoadedSkill]) -> Request:
    """What the model is asked: the skills first, which are the same for every message, so that they stay computed."""
    listed = "\n".join(f"- {skill.name}: {skill.description[:_MAX_DESCRIPTION]}" for skill in skills)
    system = f"Name the skill that fits the user's message best, and nothing else. The skills are:\n{listed}"
    asked = f'The message is:\n"""\n{message[:MAX_MESSAGE_CHARACTERS]}\n"""\nWhich skill fits it best?'
    return Request(
        messages=(ChatMessage(role="system", content=system), ChatMessage(role="user", content=asked)),
        options=_OPTIONS, schema={"type": "string", "enum": [skill.name for skill in skills]},
    )  # fmt: skip
