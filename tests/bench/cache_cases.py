"""Savings of the caches: a session after a restart, more sessions than slots, a skill's instructions."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from typing import Final

from agentgw_daemon.workers.llama import llama
from tests.bench.figure import Figure
from tests.bench.measure import Streamed, common_length, interleave
from tests.bench.setting import FOUR, MODEL, Setting, shown
from tests.bench.texts import prose

SESSION_WORDS: Final = 900
SESSIONS: Final = 8
SKILL: Final = "project-manager"
GREEDY: Final = ("-o", "temperature=0", "-o", "max_tokens=8")
# With an explicit seed the whole prompt is computed anew.
ANEW: Final = ("-o", "seed=1")
NEXT: Final = "And what else is there?"


class Conversation:
    """A session of about 1,000 tokens."""

    def __init__(self, setting: Setting, *, seed: int) -> None:
        self._setting = setting
        opening = f"{prose(SESSION_WORDS, seed=seed)} What is this about?"
        self.id = setting.result("run", "-m", os.fspath(MODEL), *GREEDY, opening)["session_id"]

    def first_byte_s(self, *options: str) -> float:
        """The seconds of its next turn, from the start of the client's process to the first byte."""
        words = [self._setting.agentgw, "run", "--session", self.id, "-m", os.fspath(MODEL)]
        return Streamed([*words, *GREEDY, *options, NEXT], self._setting.environment).first_s


def resume(setting: Setting) -> Iterator[Figure]:
    """The next turn of a session after a restart, worker warm, against all of its prompt computed anew."""
    warm, anew = [], []
    for seed in range(setting.few(3)):
        # Two of the same words: after a turn the session is another.
        one, other = Conversation(setting, seed=seed), Conversation(setting, seed=seed)
        setting.run("restart")
        setting.run("models", "load", os.fspath(MODEL))
        warm.append(one.first_byte_s())
        anew.append(other.first_byte_s(*ANEW))
    yield _against_anew("resume", "first token of a session after a restart", warm, anew, target=0.03)


def turns(setting: Setting) -> Iterator[Figure]:
    """Eight sessions take turns on four slots: the next turn of each against one computed anew."""
    setting.stop()
    with setting.variant(slots=FOUR) as four:
        sessions = [Conversation(four, seed=seed) for seed in range(SESSIONS)]
        twin = Conversation(four, seed=0)
        warm, anew = interleave(
            (
                lambda: statistics.median([session.first_byte_s() for session in sessions]),
                lambda: twin.first_byte_s(*ANEW),
            ),
            setting.few(3),
        )
    yield _against_anew("turns", "first token of eight sessions in turn, four slots", warm, anew, target=0.05)


def skill(setting: Setting) -> Iterator[Figure]:
    """Tokens from the cache in a new session's first turn, after a restart, with a skill that was used before."""
    ask = ("run", "-m", os.fspath(MODEL), "--skill", SKILL, *GREEDY)
    messages = ("Plan a garden.", "Move to another city.")
    prefix = _common_tokens([setting.result(*ask, "--dry-run", message)["text"] for message in messages])
    setting.run(*ask, messages[0])
    setting.run("restart")
    setting.run("models", "load", os.fspath(MODEL))
    usage = setting.result(*ask, messages[1])["usage"]
    yield Figure(
        case="skill", what="cached tokens at a skill's second use, after a restart", unit="tokens",
        command=shown(["agentgw", *ask, messages[1]]), measured=usage["cached_tokens"], target=prefix,
    )  # fmt: skip


CACHE: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {"resume": resume, "turns": turns, "skill": skill}


def _against_anew(case: str, what: str, warm: list[float], anew: list[float], *, target: float) -> Figure:
    command = shown(["agentgw", "run", "--session", "ID", *GREEDY, NEXT])
    return Figure.compared(
        case, what, (command, f"the same prompt with {' '.join(ANEW)}"), (warm, anew), unit="s", at="most",
        target=target,
    )  # fmt: skip


def _common_tokens(prompts: list[str]) -> int:
    """The number of tokens that these rendered prompts begin alike with."""
    model = llama.LlamaModel(os.fspath(MODEL), gpu_layers=0)
    try:
        return common_length([model.tokenise([prompt]) for prompt in prompts])
    finally:
        model.close()
