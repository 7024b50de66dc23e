"""Order of two versions of our own: the part of PEP 440 that they use."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_VERSION: Final = re.compile(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?(?:\.post(\d+))?(?:\.dev(\d+))?(?:\+.*)?")
# Sorts after every letter, and after every number, a part may have.
_LAST: Final = ("z", 0)
_FIRST: Final = ("", 0)


def is_older(version: str, than: str) -> bool:
    """Tells whether `version` precedes `than`. One that cannot be read is not older: nothing is stopped for it."""
    one, other = _key(version), _key(than)
    return one is not None and other is not None and one < other


def _key(version: str) -> tuple[tuple[int, ...], tuple[str, int], int, float] | None:
    match = _VERSION.fullmatch(version.strip())
    if match is None:
        return None
    release, letter, number, post, dev = match.groups()
    numbers = [int(part) for part in release.split(".")]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    # 4.0.0.dev0 comes before 4.0.0a1, 4.0.0 after 4.0.0rc9.
    without = _FIRST if dev is not None and post is None else _LAST
    pre = (letter, int(number)) if letter else without
    return tuple(numbers), pre, int(post) if post else -1, int(dev) if dev else float("inf")
