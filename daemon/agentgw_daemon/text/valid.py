"""The gate for text from outside: what engines, endpoints, MCP servers and tools say is made valid Unicode here.

A Python string may hold halves of surrogate pairs (JSON escapes and UTF-16 programs bring them), which neither
SQLite nor UTF-8 takes. Two halves that belong together are joined, a lone one becomes U+FFFD. Does no I/O.
"""

from __future__ import annotations

from typing import Any, Final

from agentgw.transport.framing import read_value

REPLACEMENT: Final = "\ufffd"


def valid_text(text: str) -> str:
    """The text without surrogates: pairs joined, lone halves replaced by U+FFFD. Valid text comes back as it is."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # UTF-16 joins the pairs; `replace` drops a half at the very end into one U+FFFD as well.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def valid_value(value: Any) -> Any:
    """A JSON value with every string and key made valid. Takes what `read_value` bounds: at most 64 levels."""
    match value:
        case str():
            return valid_text(value)
        case dict():
            return {valid_text(key): valid_value(item) for key, item in value.items()}
        case list():
            return [valid_value(item) for item in value]
        case _:
            return value


def read_json(text: str) -> Any:
    """The value of a JSON text from outside, by the rules of the wire, its strings made valid.

    No NaN or Infinity, integers of 64 bits, at most 64 levels, no key twice. Raises ValueError with a short reason.
    """
    value = read_value(text)
    return valid_value(value) if "\\u" in text or not text.isascii() else value


class SurrogateJoiner:
    """Makes the deltas of one stream valid, also where a pair is cut between two of them.

    A first half at the end of a delta waits for the next one, so what `feed` gives may be empty.
    """

    def __init__(self) -> None:
        self._half = ""

    def feed(self, delta: str) -> str:
        """The valid text that is complete with this delta."""
        if not self._half and delta.isascii():
            return delta
        text, self._half = self._half + delta, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return valid_text(text)

    def end(self) -> str:
        """The text that was still waiting: U+FFFD for a half that never got its other one, else nothing."""
        half, self._half = self._half, ""
        return REPLACEMENT if half else ""
