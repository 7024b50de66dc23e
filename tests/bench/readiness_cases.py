"""Readiness: the rate of a model before it is pulled, the prompt of a draft before it is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Final

from tests.bench.figure import Figure
from tests.bench.measure import interleave
from tests.bench.setting import GREEDY, MODEL, Setting, shown
from tests.bench.texts import prose

DRAFT_WORDS: Final = 900
TOKENS: Final = 96
COUNT: Final = "Count from 1 to 500: 1, 2, 3, 4,"
# A system text of its own and no tools: the same prompt from the command line and from `turn.prefill`.
ASK: Final = ("run", "--no-session", "-m", os.fspath(MODEL), "--system", "", "--no-tools", *GREEDY)


def typing(setting: Setting) -> Iterator[Figure]:
    """The first token of a message of about 1,200 tokens that was computed while it was typed, against one that was
    not.
    """
    setting.run("models", "load", os.fspath(MODEL))
    drafts = iter(range(1_000))

    def first_token_s(*, early: bool) -> float:
        message = f"{prose(DRAFT_WORDS, seed=next(drafts))} What is this about?"
        if early:
            draft = {"message": message, "model": os.fspath(MODEL), "system": "", "tools": []}
            setting.run("call", "turn.prefill", json.dumps(draft))
        found: float = setting.result(*ASK, "-o", "max_tokens=4", message)["timings"]["first_token_ms"]
        return found / 1e3

    samples = interleave((lambda: first_token_s(early=True), lambda: first_token_s(early=False)), setting.few(3))
    yield Figure.compared(
        "typing", "first token of a long message, computed while it was typed", ("turn.prefill", shown(ASK)), samples,
        unit="s", at="most", target=0.2,
    )  # fmt: skip


def recommend(setting: Setting) -> Iterator[Figure]:
    """Tokens a second that the memory's bandwidth lets expect of the starter, against those that it decodes."""
    setting.run("models", "load", os.fspath(MODEL))

    def expected() -> float:
        found: float = json.loads(setting.run("call", "model.recommend"))["bandwidth_bytes_per_s"]
        return found / MODEL.stat().st_size

    def measured() -> float:
        rate: float = setting.result(*ASK, "-o", f"max_tokens={TOKENS}", COUNT)["timings"]["decode_tokens_per_s"]
        return rate

    rounds = zip(*interleave((expected, measured), setting.few(5)), strict=True)
    # Either may be the larger one.
    pairs = [sorted(pair) for pair in rounds]
    yield Figure.compared(
        "recommend", "the smaller of expected and decoded tokens a second, against the larger",
        ("agentgw models recommend", shown(ASK)), [[pair[0] for pair in pairs], [pair[1] for pair in pairs]],
        unit="tok/s", target=0.7,
    )  # fmt: skip


READINESS: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {"typing": typing, "recommend": recommend}
