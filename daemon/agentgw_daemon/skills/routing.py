"""Choice of the skill for a message: by words where they are clear, else by asking the model once, where that is
wanted.

The model sees names and descriptions only and can answer nothing but one of the names. Whatever goes wrong with it,
and whenever it takes too long, the words decide: routing fails with nothing but an empty library.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import trio

from agentgw.protocol.errors import RpcError
from agentgw.protocol.events import TurnNotice
from agentgw.protocol.types import ChatMessage, Options, SkillMatch
from agentgw_daemon.inference.engine import Engine, GenerationRequest, TextDelta
from agentgw_daemon.inference.hearing import hear
from agentgw_daemon.skills.keywords import MAX_MESSAGE_CHARACTERS, KeywordMatch, is_clear, rank

if TYPE_CHECKING:
    from agentgw_daemon.inference.pool import Pool
    from agentgw_daemon.models.registry import Registry
    from agentgw_daemon.skills.model import LoadedSkill
    from agentgw_daemon.skills.skill_set import SkillSet

log = logging.getLogger(__name__)

RouteBy = Literal["auto", "words", "model"]

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


async def route(
    message: str, skill_set: SkillSet, *, by: RouteBy, models: Registry, pool: Pool
) -> tuple[SkillMatch, ...]:
    """The usable skills ranked, the one to take first. `by` is the setting `agent.route_by`.

    Takes at most five seconds; never raises an RpcError.
    """
    skills = skill_set.usable()
    ranked = rank(message, skills)
    if by == "words" or len(ranked) < 2 or is_clear(ranked):
        return by_words(ranked)
    asked = {match.name for match in ranked[:_MAX_ASKED]} | {FALLBACK}
    asker = _Asker(message, [skill for skill in skills if skill.name in asked], any_model=by == "model")
    name = await asker.ask(models, pool)
    if name is None:
        return by_words(ranked, asker.failure)
    return _first(ranked, name, f"chosen by {asker.model}")


async def choose(
    message: str, skill_set: SkillSet, *, by: RouteBy, models: Registry, pool: Pool
) -> tuple[str, tuple[TurnNotice, ...]]:
    """The skill of a new session that names none, and what to tell the user about it; takes what `route` takes.

    With no usable skill at all it is the general assistant, which is not there either: asking for it says so.
    """
    ranked = await route(message, skill_set, by=by, models=models, pool=pool)
    if not ranked:
        return FALLBACK, ()
    best = ranked[0]
    return best.name, (TurnNotice(code="routed", text=f"skill {best.name} ({best.reason})"),)


def by_words(ranked: Sequence[KeywordMatch], failure: str = "") -> tuple[SkillMatch, ...]:
    """The ranking by words; where they are unclear, the general assistant comes first, if there is one.

    `failure`: why it is not for a model to say, told with the first.
    """
    why = f"; {failure}" if failure else ""
    if is_clear(ranked) or all(match.name != FALLBACK for match in ranked):
        return tuple(_by_words(match, "" if at else why) for at, match in enumerate(ranked))
    reason = "words: none of any skill" if ranked[0].score <= 0 else "words: no skill stands out"
    return _first(ranked, FALLBACK, reason + why)


def _first(ranked: Sequence[KeywordMatch], name: str, reason: str) -> tuple[SkillMatch, ...]:
    first = next(match for match in ranked if match.name == name)
    rest = tuple(_by_words(match) for match in ranked if match.name != name)
    return (SkillMatch(name=name, score=first.score, reason=reason), *rest)


def _by_words(match: KeywordMatch, why: str = "") -> SkillMatch:
    words = ", ".join(match.words[:_MAX_WORDS_SHOWN]) or "none"
    return SkillMatch(name=match.name, score=match.score, reason=f"words: {words}{why}")


class _Asker:
    """Asks the default model once.

    Afterwards `model` is its name and `failure` says why it named no skill, unless it is not one to be asked.
    """

    def __init__(self, message: str, skills: Sequence[LoadedSkill], *, any_model: bool) -> None:
        self._message = message
        self._skills = skills
        self._any_model = any_model
        self.model = ""
        self.failure = ""

    async def ask(self, models: Registry, pool: Pool) -> str | None:
        """The name of the skill, None when there was none in time."""
        try:
            with trio.move_on_after(_TIMEOUT_S) as scope:
                spec = await models.resolve_to_answer(None)
                self.model = spec.name
                return await self._asked(await pool.engine(spec))
        except RpcError as error:
            log.info("routing without a model: %s", error.message)
            self.failure = "no model to ask" if not self.model else f"{self.model} failed"
            return None
        if scope.cancelled_caught:
            self.failure = f"{self.model or 'the model'} did not answer within {_TIMEOUT_S:g} seconds"
        return None

    async def _asked(self, engine: Engine) -> str | None:
        if not self._any_model:
            tool_calling = await engine.tool_calling()
            if tool_calling is None or tool_calling.narrow:
                return None
        text = ""
        async with hear(engine, question(self._message, self._skills)) as events:
            async for event in events:
                if isinstance(event, TextDelta) and event.channel == "answer":
                    text += "".join(event.texts)
        try:
            name = json.loads(text)
        except ValueError:
            # An engine that cannot be held to a schema, such as echo.
            name = None
        if isinstance(name, str) and any(name == skill.name for skill in self._skills):
            return name
        self.failure = f"{self.model} named none"
        return None


def question(message: str, skills: Sequence[LoadedSkill]) -> GenerationRequest:
    """The question for the model: the skills first, which are the same for every message, so that they stay
    computed.
    """
    listed = "\n".join(f"- {skill.name}: {skill.description[:_MAX_DESCRIPTION]}" for skill in skills)
    system = f"Name the skill that fits the user's message best, and nothing else. The skills are:\n{listed}"
    asked = f'The message is:\n"""\n{message[:MAX_MESSAGE_CHARACTERS]}\n"""\nWhich skill fits it best?'
    return GenerationRequest(
        messages=(ChatMessage(role="system", content=system), ChatMessage(role="user", content=asked)),
        options=_OPTIONS, schema={"type": "string", "enum": [skill.name for skill in skills]},
    )  # fmt: skip
