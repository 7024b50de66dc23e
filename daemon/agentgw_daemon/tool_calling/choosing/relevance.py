"""Relevance of tools to a request, told by its words: a choice that a model of a hundred million parameters cannot
make.

Words count as much as they are rare among the tools. Addresses and file names count as what they are, so they help in
any language. Does no learning and knows no synonyms but those that the tools bring as `keywords`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from agentgw_daemon.tool_calling.prompting.view import ToolView

# English words that say nothing about what is wanted.
_EMPTY: Final = frozenset((
    "a", "an", "and", "are", "at", "be", "by", "can", "do", "does", "for", "from", "has", "have", "how", "i", "in",
    "is", "it", "me", "my", "of", "on", "or", "our", "please", "that", "the", "this", "to", "us", "we", "what",
    "which", "who", "why", "with", "you", "your", "all",
))  # fmt: skip
_ADDRESS: Final = re.compile(r"https?://", re.I)
# With an extension (`e.g.` has none) or a slash.
_FILE: Final = re.compile(r"(?!\w\.\w$)[\w./~-]*\.([a-z][a-z0-9]{0,7})|[~.]?/[\w./~-]*|[\w.~-]+/[\w./~-]*", re.I)
_AROUND: Final = "\"'`,;:!?()[]{}"
_ENDINGS: Final = ("ing", "ies", "es", "ed", "s")
# The weight of a word by where a tool has it.
_NAME_WEIGHT, _DESCRIPTION_WEIGHT, _EXAMPLE_WEIGHT = 1.0, 0.75, 0.5
# Requests begin with what is to be done.
_FIRST_WEIGHT: Final = 1.5
_FORMS: Final = ("<url>", "<file>")
_MAX_CHARACTERS: Final = 2000


def rank(request: str, tools: Sequence[ToolView]) -> list[tuple[ToolView, float]]:
    """The tools that have words with the request in common, best first; of equal ones, in the order given."""
    worths = [_worths(tool) for tool in tools]
    scores = [0.0] * len(tools)
    for place, term in enumerate(dict.fromkeys(terms(request[:_MAX_CHARACTERS]))):
        having = [at for at, worth in enumerate(worths) if term in worth]
        if having:
            rarity = math.log(1 + len(tools) / len(having)) * (_FIRST_WEIGHT if place == 0 else 1.0)
            for at in having:
                scores[at] += rarity * worths[at][term]
    found = [(tool, score) for tool, score in zip(tools, scores, strict=True) if score > 0]
    return sorted(found, key=lambda pair: -pair[1])


def terms(text: str) -> list[str]:
    """The words that say something, without endings; `<url>`, `<file>` and its extension for what has that form."""
    made: list[str] = []
    for word in words(text.lower()):
        if _ADDRESS.match(word):
            made.append(_FORMS[0])
        elif found := _FILE.fullmatch(word):
            made += [_FORMS[1], f".{found[1]}"] if found[1] else [_FORMS[1]]
        else:
            parts = re.findall(r"[^\W_]+", word)
            made += [_stem(part) for part in parts if part not in _EMPTY and not part.isdigit()]
    return made


def addresses(text: str) -> list[str]:
    """The web addresses in a text, each once."""
    return list(dict.fromkeys(word for word in words(text) if _ADDRESS.match(word)))


def files(text: str) -> list[str]:
    """Parts of a text that have the form of a file's or folder's path, each once."""
    return list(dict.fromkeys(word for word in words(text) if _FILE.fullmatch(word)))


def words(text: str) -> list[str]:
    """The words of a text as they stand there, without the quotes and punctuation around them."""
    return [bare for word in text.split() if (bare := word.strip(_AROUND).rstrip(".").strip(_AROUND))]


def _worths(tool: ToolView) -> dict[str, float]:
    """The tool's terms and what they are worth."""
    made: dict[str, float] = {}
    for example in tool.examples:
        # The extension in an example says nothing: any other file would do.
        found = (term for term in terms(example.request) if not term.startswith("."))
        made |= {term: 1.0 if term in _FORMS else _EXAMPLE_WEIGHT for term in found}
    made |= dict.fromkeys(terms(tool.description), _DESCRIPTION_WEIGHT)
    made |= dict.fromkeys(terms(tool.name.replace("_", " ")), _NAME_WEIGHT)
    return made | {w if w.startswith(".") else _stem(w.lower()): _NAME_WEIGHT for w in tool.keywords}


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
