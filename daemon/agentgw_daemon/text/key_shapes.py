"""Keys in configuration texts, recognised by their names or their form. Does no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final
from urllib.parse import parse_qsl, urlsplit

_NAME: Final = re.compile(r"(?i)key|token|secret|passw|credential|auth")
_MARK: Final = re.compile(r"[=:]")
# As those who hand out keys begin them, so that they can be found: OpenAI and Anthropic, GitHub, GitLab, Slack, Hugging
# Face, AWS, Google, and a JSON web token.
_LOOKS: Final = re.compile(
    r"\b(?:sk-|gh[opsur]_|github_pat_|glpat-|xox[abeoprs]-|hf_|AKIA|ASIA|AIza|eyJ)[A-Za-z0-9_.\-]{12,}"
)
# The password in an address, such as that of a database.
_PASSWORD: Final = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")


def is_key_name(name: str) -> bool:
    """Tells whether a value of this name is a key."""
    return bool(_NAME.search(name))


def keys_in_query(address: str) -> Iterator[str]:
    """The keys in the query of an address."""
    yield from (text for name, text in parse_qsl(urlsplit(address).query) if is_key_name(name))


def keys_in_words(words: Iterable[str]) -> Iterator[str]:
    """The keys among the words of a command: `--token x`, `TOKEN=x`, `Authorization: Bearer x`."""
    for before, word in pairwise(("", *words)):
        if before.startswith("-") and not _MARK.search(before) and is_key_name(before) and not word.startswith("-"):
            yield word
        name, *rest = _MARK.split(word, maxsplit=1)
        if rest and is_key_name(name):
            yield from rest[0].split()[-1:]
        yield from keys_in_text(word)


def keys_in_text(text: str) -> Iterator[str]:
    """The keys and passwords that a text holds by their looks."""
    yield from _LOOKS.findall(text)
    yield from _PASSWORD.findall(text)
