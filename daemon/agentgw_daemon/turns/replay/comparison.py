"""Two runs of one turn beside each other: how alike the answers are, which calls differ, and why. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final, Literal

from agentgw.protocol.calls.turns import ReplayCall, ReplaySide, StepCall, TurnDetail
from agentgw.protocol.records.schema import record
from agentgw_daemon.turns.replay.tools import normal

Compared = Literal["greedy", "seed", "loose", "chance"]

_CUT: Final = {"cancelled": "was cancelled", "interrupted": "was cut off when the daemon ended", "failed": "failed"}


@record
class ReplaySetting:
    """Conditions of the second run beyond what it gave."""

    skill_changed: bool
    skill_missing: bool
    current_skill: bool
    left_out_turns: int
    compared: Compared


def similarity(one: str, other: str) -> float:
    """The similarity of two texts, from 0 to 1: Dice's coefficient of their words and pairs of neighbouring words.

    Twice what both have, by what each has; counted with repetitions. Linear in the length of the texts, unlike a diff.
    """
    mine, theirs = _grams(one), _grams(other)
    total = mine.total() + theirs.total()
    if total == 0:
        return 1.0
    return round(2 * (mine & theirs).total() / total, 4)


def _grams(text: str) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter([(word,) for word in words] + list(pairwise(words)))


def compare_calls(recorded: Sequence[StepCall], made: Sequence[ReplayCall]) -> tuple[ReplayCall, ...]:
    """The calls of both runs, those of the first in its order."""
    missing = [
        ReplayCall(
            tool=call.tool or "", arguments=normal(call.arguments), change="missing", recorded=call.content is not None
        )
        for call in recorded
    ]
    before = [(call.tool, call.arguments) for call in missing]
    after = [(call.tool, call.arguments) for call in made]
    found: list[ReplayCall] = []
    for tag, i, j, k, m in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if tag == "equal":
            found += [replace(call, change="same") for call in made[k:m]]
        else:
            found += (*missing[i:j], *made[k:m])
    return tuple(found)


def same_prompt(recorded: ReplaySide, replayed: ReplaySide) -> Literal["same", "different", "unknown"]:
    """The comparison of what the two were shown, by the hashes of what was rendered."""
    if recorded.prompt_sha256 is None or replayed.prompt_sha256 is None:
        return "unknown"
    return "same" if recorded.prompt_sha256 == replayed.prompt_sha256 else "different"


def reasons(
    detail: TurnDetail, recorded: ReplaySide, replayed: ReplaySide, calls: Sequence[ReplayCall], setting: ReplaySetting
) -> tuple[str, ...]:
    """The differences to the first run's conditions, a sentence each, for whoever wonders at a difference."""
    made = [*_of_the_model(recorded, replayed), *_of_the_skill(detail, setting)]
    if setting.left_out_turns:
        made.append(f"{_turns(setting.left_out_turns)} left out: the context is smaller")
    if any(call.change != "same" for call in calls):
        made.append("the calls differ, and with them what the model read before it answered")
    if not detail.steps:
        made.append("the turn is from before the steps of the model were kept: which tools it was shown is not known")
    if not made and same_prompt(recorded, replayed) == "different":
        made.append("text and model are the same, so the chat template or the form of tool calls has changed")
    if setting.compared == "loose" and recorded.text != replayed.text:
        made.append(_without_a_seed(recorded.usage.cached_tokens))
    if setting.compared == "chance":
        made.append("an endpoint, or a turn whose seed is not on record, draws its words by chance")
    if (cut := _CUT.get(detail.turn.state)) is not None:
        made.append(f"the recorded turn {cut}, so its answer is not whole")
    return tuple(made)


def _without_a_seed(cached_tokens: int) -> str:
    taken = f"took {cached_tokens} tokens of its prompt from what was computed before" if cached_tokens else "ran"
    beside = "and shared batches with others" if cached_tokens else "in batches with others"
    return f"without a seed the turn {taken} {beside}, which changes the last bits: that may be all"


def _of_the_model(recorded: ReplaySide, replayed: ReplaySide) -> list[str]:
    if recorded.model != replayed.model:
        return [f"another model: {replayed.model} in place of {recorded.model}"]
    made = []
    if None not in (recorded.model_sha256, replayed.model_sha256) and recorded.model_sha256 != replayed.model_sha256:
        made.append(f"the file of {recorded.model} is another one (its sha256 differs)")
    if None not in (recorded.engine, replayed.engine) and recorded.engine != replayed.engine:
        made.append(f"another engine: {replayed.engine} in place of {recorded.engine}")
    return made


def _of_the_skill(detail: TurnDetail, setting: ReplaySetting) -> list[str]:
    name = detail.turn.skill
    if detail.own_system:
        return []
    if setting.skill_missing:
        return [f"skill {name} is not there any more: its recorded text was used"]
    if not setting.skill_changed:
        return []
    used = "was used" if setting.current_skill else "was not used"
    return [f"the text of skill {name} has changed since; the new one {used}"]


def _turns(count: int) -> str:
    return "one more turn of the session was" if count == 1 else f"{count} more turns of the session were"
