"""Skills that share words with a message: BM25 over name, tags, examples and description. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.skills.model import LoadedSkill
from agentgw_daemon.storage.words.scoring import K1, B

# A request begins with what is asked; a document that follows it would only drown that.
MAX_MESSAGE_CHARACTERS: Final = 1000
# The weight of a word by where the skill has it: its author chose name and tags as the words to be found by.
_NAME, _TAG, _EXAMPLE, _DESCRIPTION = 3.0, 2.0, 1.0, 1.0
# Words are clear when the best skill has so many times the score of the next. A judgement: a word that two skills
# share must not decide, as `sentence` between general-assistant and quick-assistant (a ratio of 1.1).
_MARGIN: Final = 1.3

_WORD: Final = re.compile(r"[^\W\d_]+")
# Words of English sentences and of descriptions ("use it when the user ..."), which tell no skill from another.
_STOP: Final = frozenset(
    _WORD.findall(
        "a about all also an and any are as asks at be been but by can comes could did do does each else ever every for"
        " from get give gives given had has have he help helps her him his how i if in into is it its just kind large"
        " last let like made make makes many may me more most much must my no not of on one only or other our out"
        " please she should so some such tell than that the their them then there these they thing things this those"
        " through to too up us use used user want wants was we were what when where which while who why will with"
        " work would you your assistant skill agent"
    )
)
_ENDINGS: Final = tuple(
    _WORD.findall(
        "isations izations isation ization ising izing ises izes ised ized ise ize ying ies ied ings ing"
        " ions ion ers er es ed y s e"
    )
)
# A word this short may be a name or a command: nothing is cut off it that leaves less.
_SHORTEST_STEM: Final = 3


@record
class KeywordMatch:
    """Fit of a skill's words for a message; `words` are the message's own that did, the weightiest first."""

    name: str
    score: float
    words: tuple[str, ...]


def rank(message: str, skills: Iterable[LoadedSkill]) -> tuple[KeywordMatch, ...]:
    """Every skill, the best first; equal scores by name."""
    named = {skill.name: _weights(skill) for skill in skills}
    asked: dict[str, str] = {}
    for word in _words(message[:MAX_MESSAGE_CHARACTERS]):
        asked.setdefault(stem(word), word)
    lengths = {name: sum(weights.values()) for name, weights in named.items()}
    average = sum(lengths.values()) / max(len(lengths), 1) or 1.0
    holders = Counter(word for weights in named.values() for word in weights)
    found = []
    for name, weights in named.items():
        scores = {
            word: _rarity(len(named), holders[root]) * _saturated(weights[root], lengths[name] / average)
            for root, word in asked.items()
            if root in weights
        }
        best_words = sorted(scores, key=lambda word: (-scores[word], word))
        found.append(KeywordMatch(name=name, score=round(math.fsum(scores.values()), 4), words=tuple(best_words)))
    return tuple(sorted(found, key=lambda match: (-match.score, match.name)))


def is_clear(ranked: Sequence[KeywordMatch]) -> bool:
    """Tells whether the first of a ranking stands out."""
    if not ranked or ranked[0].score <= 0:
        return False
    return len(ranked) == 1 or ranked[0].score >= _MARGIN * ranked[1].score


def stem(word: str) -> str:
    """The part that the forms of an English word share: `summarise`, `summary`, `summarizing` are `summar`."""
    word = word.lower()
    for ending in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word[: -len(ending)]
            break
    # planning is plan; a double l or s is mostly the word's own, as in shell and class
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _STOP and len(word) > 1]


def _weights(skill: LoadedSkill) -> dict[str, float]:
    weights: dict[str, float] = {}
    for texts, weight in (
        ((skill.name,), _NAME), (skill.tags, _TAG), (skill.examples, _EXAMPLE), ((skill.description,), _DESCRIPTION),
    ):  # fmt: skip
        for text in texts:
            for word in _words(text):
                root = stem(word)
                weights[root] = weights.get(root, 0.0) + weight
    return weights


def _rarity(skills: int, holders: int) -> float:
    """BM25's inverse document frequency in the form that is never negative."""
    return math.log1p((skills - holders + 0.5) / (holders + 0.5))


def _saturated(weight: float, relative_length: float) -> float:
    return weight * (K1 + 1) / (weight + K1 * (1 - B + B * relative_length))
