"""Made-up English of a wanted length, the same for the same seed. Pure."""

from __future__ import annotations

import random
from typing import Final

# Short common words: nearly each is one token of a model's vocabulary, so that words count tokens well enough.
_TEXT: Final = (
    "the water river house light morning people small garden stone winter letter friend market street paper music "
    "summer window teacher animal country family number question answer system machine engine memory story village "
    "mountain forest bridge island harbour captain engineer doctor child city field road train ship kitchen table "
    "often never always again later early because before after under over between around near behind slowly quickly "
    "takes gives makes finds keeps sees knows brings builds opens closes writes reads carries follows leaves"
)
_WORDS: Final = tuple(_TEXT.split())
_SENTENCE_WORDS: Final = (6, 14)
STORY: Final = "Write a long story about a lighthouse keeper and the sea."


def prose(words: int, *, seed: int) -> str:
    """Sentences of so many words altogether. Texts of two seeds differ from the first word on, most likely."""
    chosen = random.Random(seed)
    left, sentences = words, []
    while left > 0:
        length = min(left, chosen.randint(*_SENTENCE_WORDS))
        sentences.append(" ".join(chosen.choices(_WORDS, k=length)).capitalize() + ".")
        left -= length
    return " ".join(sentences)
