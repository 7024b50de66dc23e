"""The wire, sans-io: bytes in, frames out, and one strict way to read a frame as JSON.

A frame is one JSON text in UTF-8 ended by a newline. Limits are arguments; their defaults are the protocol's.
On the client's hot path: `json` and what it brings (`re`, `itertools`) are the only imports.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate

from agentgw.protocol.errors import InvalidRequest, ParseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

# json.loads of 1, 4 and 16 MiB arrays of integers held the event loop for 32, 146 and 701 ms.
MAX_MESSAGE_BYTES: Final = 1 << 20
# Python's own parser recurses: 100,000 nested brackets end in RecursionError.
MAX_DEPTH: Final = 64
# SQLite integers and most other languages' integers end here.
MAX_INTEGER: Final = 2**63 - 1
MIN_INTEGER: Final = -(2**63)
# Of an integer that is only passed on: reading more of them is slow on purpose, and no id has them.
_MOST_DIGITS: Final = 1000

_BOM = b"\xef\xbb\xbf"
# Escapes are gone before this is used. The closing quote may be missing: a pattern that insisted on it would
# search to the end again from every quote of a text that never closes.
_STRING = re.compile(rb'"[^"]*"?')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Opening brackets become 1 and closing ones -1 when read as signed bytes.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


class FrameTooLarge(InvalidRequest):
    """A frame is longer than the limit; the stream cannot be followed any further."""


# Made once: json.dumps makes one a call.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class FrameSplitter:
    """Cuts a byte stream into frames, however the bytes were chunked.

    Holds at most one frame of `max_bytes` (its newline not counted) plus the chunk just fed.
    """

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._pending = bytearray()
        # Where the search for a newline goes on, so that 1-byte writes cost O(n) in all.
        self._scanned = 0

    @property
    def has_partial(self) -> bool:
        """True while a started frame waits for its end."""
        return bool(self._pending)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields each complete frame without its newline; empty lines are skipped.

        Raises FrameTooLarge as soon as the limit is passed, complete frames before it having been given.
        """
        pending = self._pending
        pending += data
        start = 0
        try:
            while (end := pending.find(b"\n", max(start, self._scanned))) >= 0:
                if end - start > self._max_bytes:
                    start = len(pending)
                    raise self._too_large()
                frame = bytes(pending[start:end]).strip(b" \t\r")
                start = end + 1
                if frame:
                    yield frame
            self._scanned = len(pending)
            if len(pending) - start > self._max_bytes:
                start = len(pending)
                raise self._too_large()
        finally:
            # Also when the caller stops half-way: what was given is not given again.
            del pending[:start]
            self._scanned = max(0, self._scanned - start)

    def _too_large(self) -> FrameTooLarge:
        return FrameTooLarge(f"frame too large: more than {self._max_bytes} bytes")


def encode(message: object, *, errors: str = "replace") -> bytes:
    """One frame, newline included. Non-ASCII text stays UTF-8; NaN and infinities raise ValueError.

    A lone surrogate cannot be UTF-8; it leaves as `?` rather than breaking the stream, or with `strict` raises
    UnicodeEncodeError.
    """
    return _ENCODER.encode(message).encode("utf-8", errors) + b"\n"


def decode(frame: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value of one frame. Stricter than `json.loads`, because what is let in must also get out again:
    UTF-8 only, no BOM, no NaN or infinities, no duplicate keys, no lone surrogates, integers of 64 bits,
    at most `max_depth` nested arrays and objects. Raises ParseError or InvalidRequest.
    """
    if frame.startswith(_BOM):
        raise ParseError("Parse error: a byte order mark is not JSON")
    if _too_deep(frame, max_depth):
        raise InvalidRequest(f"Invalid request: nested deeper than {max_depth}")
    try:
        text = frame.decode("utf-8")
        value = _decoder(frame).decode(text)
        # Escapes such as \ud800 decode here and would fail later, in SQLite or in a reply.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError, OverflowError) as error:
        raise ParseError(f"Parse error: {_reason(error)}") from None
    return value


def read_value(text: str, *, max_depth: int = MAX_DEPTH, any_integer: bool = False) -> Any:
    """The value of a JSON text that is no frame, by the same rules; but its strings may hold lone surrogates, and
    with `any_integer` its integers may be longer than the wire takes.

    Raises ValueError with a reason that fits into a sentence.
    """
    frame = text.encode("utf-8", "surrogatepass")
    if _too_deep(frame, max_depth):
        raise ValueError(f"nested deeper than {max_depth}")
    try:
        return (_LENIENT if any_integer else _decoder(frame)).decode(text)
    except (ValueError, RecursionError, OverflowError) as error:
        raise ValueError(_reason(error)) from None


def _decoder(frame: bytes) -> json.JSONDecoder:
    return _CAREFUL if _LONG_NUMBER.search(frame) else _USUAL


def _too_deep(frame: bytes, max_depth: int) -> bool:
    """Tells whether brackets outside strings nest deeper than `max_depth`; cheap when there are few brackets."""
    if frame.count(b"[") + frame.count(b"{") <= max_depth:
        return False
    bare = frame.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = _STRING.sub(b"", bare).translate(_STEPS, _NOT_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > max_depth


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _bounded_int(digits: str) -> int:
    # Length first: int() of 5,000 digits is slow on purpose and raises.
    if len(digits) > 20 or not MIN_INTEGER <= (value := int(digits)) <= MAX_INTEGER:
        raise ValueError("an integer does not fit 64 bits")
    return value


def _long_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"an integer has more than {_MOST_DIGITS} digits")
    return int(digits)


def _finite_float(digits: str) -> float:
    value = float(digits)
    if value - value != 0.0:
        raise ValueError("a number is too large")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has the same key twice")
    return made


# Made once: json.loads with hooks makes a decoder a call, half the cost of a small frame. Hooks for numbers
# triple the time of a 1 MiB array, and only a number of 19 digits or with an exponent can leave the bounds.
_LONG_NUMBER = re.compile(rb"[0-9](?:[0-9]{18}|[eE])")
_USUAL = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
_CAREFUL = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_bounded_int, parse_float=_finite_float, object_pairs_hook=_unique_keys
)
_LENIENT = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_long_int, parse_float=_finite_float, object_pairs_hook=_unique_keys
)


def _reason(error: BaseException) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "a lone surrogate is not text"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error)
