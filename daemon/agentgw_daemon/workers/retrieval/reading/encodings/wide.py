"""UTF-16 and UTF-32 without a mark, and where a stray byte puts them out of step. Does no I/O."""

from __future__ import annotations

import itertools
import re
from typing import Final

_SAMPLE_BYTES: Final = 32 << 10
# Spaces, ends of lines and sentences: what any text has, and what other bytes seldom are by chance.
_STOPS: Final = re.compile("[\n\r\t ,.:;!?\u3000-\u3002\uff01\uff0c\uff1a\uff1b\uff1f\u060c\u061f]")
_FEWEST_STOPS: Final = 0.01
_FEWEST_WRITTEN: Final = 0.8
# Of letters in use together, few pages of 256: one alphabet, or the many of Chinese and Korean.
_WRITTEN: Final = re.compile(
    "[\t\n\r -~\u00a0-\u024f\u0300-\u0600\u0609-\u06ff\u0900-\u0dff\u0e01-\u0e5b\u1e00-\u1fff\u2010-\u20b9\u2190-\u26ff"
    "\u3000-\u30ff\u3105-\u312f\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff01-\uffe6]"
)
_SIGNS: Final = bytes(set(range(32)) - set(b"\t\n\r\f\v\b\x1b\x1a"))
_WINDOW_BYTES: Final = 256
# More is no damage but another kind of data.
_MOST_STRAYS: Final = 50
# What is in step is looked at here and there.
_STRIDE_BYTES: Final = 16 * _WINDOW_BYTES
# Of four bytes a letter, one is always 0 and one is its plane.
_LAST_PLANE: Final = 16
_ORDERS: Final = ("utf-16-le", "utf-16-be")


def unmarked(data: bytes) -> str:
    """The encoding of bytes that look like text of two or four bytes a letter; empty for others."""
    sample = data[:_SAMPLE_BYTES]
    if len(data) < 4 or len(sample) == len(sample.translate(None, _SIGNS)):
        return ""
    if len(data) % 4 == 0 and sample[3::4].count(0) == len(sample) // 4 and max(sample[2::4]) <= _LAST_PLANE:
        return "utf-32-le" if _written(sample.decode("utf-32-le", "replace")) else ""
    if len(data) % 4 == 0 and sample[::4].count(0) == len(sample) // 4 and max(sample[1::4]) <= _LAST_PLANE:
        return "utf-32-be" if _written(sample.decode("utf-32-be", "replace")) else ""
    # A stray byte puts the rest out of step: the first lines tell.
    sample = sample[: _WINDOW_BYTES * 2] if len(data) % 2 else sample
    best, name = 0, ""
    for order in _ORDERS:
        text = sample[: len(sample) // 2 * 2].decode(order, "replace")
        if _written(text) and (stops := len(_STOPS.findall(text))) > best:
            best, name = stops, order
    return name


def _written(text: str) -> bool:
    stops = len(_STOPS.findall(text))
    return len(_WRITTEN.findall(text)) >= _FEWEST_WRITTEN * len(text) and stops >= max(1, _FEWEST_STOPS * len(text))


def strays(data: bytes, order: str) -> list[int]:
    """Places of single bytes that put UTF-16 out of step; a last odd one is among them."""
    found: list[int] = []
    first = at = 0
    stride = _STRIDE_BYTES
    while at + _WINDOW_BYTES // 4 < len(data) and len(found) < _MOST_STRAYS:
        if _sense(data[at : at + _WINDOW_BYTES], order) >= _sense(data[at + 1 : at + 1 + _WINDOW_BYTES], order):
            # The end is looked at in any case.
            last = at + (len(data) - _WINDOW_BYTES - at) // 2 * 2
            at = last if at < last < at + stride else at + stride
            continue
        if stride > _WINDOW_BYTES and at > first:
            at, stride = max(first, at - stride + _WINDOW_BYTES), _WINDOW_BYTES
            continue
        # Somewhere near: what lies before makes most sense in step, what follows one byte on.
        first, last = max(first, at - _WINDOW_BYTES), at + _WINDOW_BYTES
        best = max(
            range(first, min(last, len(data)), 2),
            key=lambda stray: _sense(data[first:stray], order) + _sense(data[stray + 1 : last + 1], order),
        )
        found.append(best)
        first = at = best + 1
        stride = _STRIDE_BYTES
    if (len(data) - len(found)) % 2:
        found.append(len(data) - 1)
    return found


def _sense(piece: bytes, order: str) -> int:
    """The larger, the more like text: letters stay on a page of 256, and sentences end."""
    text = piece[: len(piece) // 2 * 2].decode(order, "replace")
    pages = piece[order == "utf-16-le" :: 2]
    same = sum(one == other for one, other in itertools.pairwise(pages))
    return same + 2 * len(_STOPS.findall(text)) + 4 * (len(_WRITTEN.findall(text)) - len(text))
