"""Values that are shown to nobody: keys that the configuration names, found in any text and replaced by stars.

Each part of the daemon that holds such values adds them under its name. What is looked for is the value itself and how
it is usually spelled: in a repr, in JSON, in an address, in HTML, in hexadecimal, in base64 wherever it begins. A
program that wants to get a key past this will; what it prints by accident does not. Does no I/O.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, Final
from urllib.parse import quote, quote_plus

STARS: Final = "***"
# A shorter value is some word of every other text: its stars would garble what they stand in, and protect nothing.
MIN_CHARS: Final = 8
# Of a value of several lines, such as a private key, each line of this length is looked for as well.
_MIN_LINE_CHARS: Final = 16
_PERCENT: Final = re.compile("%[0-9A-F]{2}")


class Secrets:
    """The registry. Looking for nothing costs nothing."""

    def __init__(self, **parts: Iterable[str]) -> None:
        self._parts: dict[str, frozenset[str]] = {}
        self._forms: tuple[str, ...] = ()
        for part, values in parts.items():
            self.put(part, values)

    def put(self, part: str, values: Iterable[str]) -> None:
        """Sets the values of this part; what it had before may be shown."""
        self._parts[part] = frozenset(values)
        spelled = {form for known in self._parts.values() for value in known for form in _forms(value)}
        # Longest first: one key may begin with another.
        self._forms = tuple(sorted(spelled, key=lambda form: (-len(form), form)))

    def redact(self, text: str) -> str:
        """The text with stars in the place of every value."""
        # Not one pattern of all: that would take each of them at each character.
        for form in self._forms:
            if form in text:
                text = text.replace(form, STARS)
        return text

    def redact_value(self, value: Any) -> Any:
        """A JSON value with every string and key of it redacted."""
        if not self._forms:
            return value
        match value:
            case str():
                return self.redact(value)
            case dict():
                return {self.redact(str(key)): self.redact_value(item) for key, item in value.items()}
            case list() | tuple():
                return [self.redact_value(item) for item in value]
            case _:
                return value


def _forms(value: str) -> Iterator[str]:
    value = value.strip()
    if len(value) < MIN_CHARS:
        return
    lines = [line for line in map(str.strip, value.splitlines()) if len(line) >= _MIN_LINE_CHARS]
    for text in {value, *lines}:
        raw = text.encode("utf-8", "surrogateescape")
        as_json = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        # PHP's JSON escapes slashes, and base64 is full of them.
        yield from (text, repr(text)[1:-1], *as_json, *(one.replace("/", "\\/") for one in as_json))
        in_addresses = (quote(raw, safe=""), quote(raw), quote_plus(raw))
        # Either case of the digits is right there.
        yield from (*in_addresses, *(_PERCENT.sub(lambda found: found[0].lower(), one) for one in in_addresses))
        yield from (escape(text), escape(text, quote=False), raw.hex(), raw.hex().upper())
        yield from _in_base64(raw)


def _in_base64(raw: bytes) -> Iterator[str]:
    """The characters that stand for these bytes and no others, wherever in a group of three the bytes begin."""
    for before in range(3):
        # Characters that also hold bits of neighbours are left out at both ends.
        skipped = (before * 8 + 5) // 6
        whole = (before + len(raw)) * 8 // 6
        padded = bytes(before) + raw + bytes(2)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(padded).decode()[skipped:whole]
