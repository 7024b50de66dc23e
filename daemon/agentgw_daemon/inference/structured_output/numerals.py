"""JSON numbers between bounds, as grammar expressions. Pure.

An integer meets its bounds exactly. A number is written without an exponent, with at most `FRACTION_DIGITS` digits
after the point unless a bound has more. Where there is no bound, no number has more than 15 digits before the point:
those are exact in every reader of JSON.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

from agentgw_daemon.inference.structured_output.gbnf import (
    DIGIT,
    EMPTY,
    Chars,
    Expr,
    Repeat,
    Terminal,
    alt,
    optional,
    seq,
)

LARGEST: Final = 10**15 - 1
MAX_BOUND: Final = 10**18
FRACTION_DIGITS: Final = 6
MAX_FRACTION_DIGITS: Final = 15
# Above it, a float cannot tell two numbers apart that differ in the sixth digit after the point.
_FINE: Final = 10**9
_MINUS: Final = Terminal("-")
_POINT: Final = Terminal(".")


class Unwritable(Exception):
    """No number this module writes lies between the bounds; the text says why."""


def integer(low: Decimal | None, high: Decimal | None) -> Expr:
    """Whole numbers from `low` to `high`. Raises Unwritable."""
    lowest, highest = _ends(low, high)
    least, most = math.ceil(lowest), math.floor(highest)
    if least > most:
        raise Unwritable("there is no integer between the bounds")
    options = []
    if most >= 0:
        options.append(_whole(max(least, 0), most))
    if least < 0:
        options.append(seq(_MINUS, _whole(max(-most, 1), -least)))
    return alt(options)


def number(low: Decimal | None, high: Decimal | None, *, open_low: bool = False, open_high: bool = False) -> Expr:
    """Decimal numbers from `low` to `high`, an open end left out. Raises Unwritable."""
    places = max((_places(bound) for bound in (low, high) if bound is not None), default=0)
    if places > MAX_FRACTION_DIGITS:
        raise Unwritable(f"a bound has more than {MAX_FRACTION_DIGITS} digits after the point")
    places = max(places, FRACTION_DIGITS)
    unwritten = 1 - Decimal(1).scaleb(-places)  # a missing bound lets the whole last integer have its fractions
    if low is not None and open_low:
        low += _step(low, places)
    if high is not None and open_high:
        high -= _step(high, places)
    least, most = _ends(low, high)
    least, most = least if low is not None else least - unwritten, most if high is not None else most + unwritten
    if least > most:
        raise Unwritable("there is no number between the bounds")
    options = []
    if most >= 0:
        options.append(_decimal(max(least, Decimal(0)), most, places))
    if least < 0:
        options.append(seq(_MINUS, _decimal(max(-most, Decimal(0)), -least, places)))
    return alt(options)


def _ends(low: Decimal | None, high: Decimal | None) -> tuple[Decimal, Decimal]:
    """Both bounds; a missing one is as far away as numbers are written."""
    for bound in (low, high):
        if bound is not None and abs(bound) > MAX_BOUND:
            raise Unwritable(f"a bound is larger than {MAX_BOUND}")
    least = min(Decimal(-LARGEST), high - LARGEST if high is not None else Decimal(0)) if low is None else low
    most = max(Decimal(LARGEST), low + LARGEST if low is not None else Decimal(0)) if high is None else high
    return least, most


def _places(bound: Decimal) -> int:
    exponent = bound.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "JSON has no infinities"
    return max(-exponent, 0)


def _step(bound: Decimal, places: int) -> Decimal:
    """The distance to the nearest number written that every reader holds apart from it."""
    return Decimal(1).scaleb(-places) if abs(bound) < _FINE and places == FRACTION_DIGITS else Decimal(1)


def _whole(low: int, high: int) -> Expr:
    """Numbers from 0 up, as their digits."""
    options: list[Expr] = []
    shortest = longest = 0  # lengths of which every number is between the bounds
    for length in range(len(str(low)), len(str(high)) + 1):
        first, last = 10 ** (length - 1) if length > 1 else 0, 10**length - 1
        if length > 1 and low <= first and last <= high:
            shortest, longest = shortest or length, length
        else:
            options.append(_digits(str(max(low, first)), str(min(high, last))))
    if longest:
        options.append(seq(_digit(1, 9), Repeat(DIGIT, shortest - 1, longest - 1)))
    return alt(options)


def _digits(low: str, high: str) -> Expr:
    """Strings of digits between two of the same length."""
    rest = len(low) - 1
    if rest < 0:
        return EMPTY
    if low[0] == high[0]:
        return seq(Terminal(low[0]), _digits(low[1:], high[1:]))
    first, last = int(low[0]), int(high[0])
    options = []
    if low[1:] != "0" * rest:
        options.append(seq(Terminal(low[0]), _digits(low[1:], "9" * rest)))
        first += 1
    if high[1:] != "9" * rest:
        options.append(seq(Terminal(high[0]), _digits("0" * rest, high[1:])))
        last -= 1
    if first <= last:
        options.insert(0, seq(_digit(first, last), _times(rest)))
    return alt(options)


def _decimal(low: Decimal, high: Decimal, places: int) -> Expr:
    """Numbers from 0 up, with a fraction where one fits between the bounds."""
    (first, above), (last, below) = _split(low, places), _split(high, places)
    if first == last:
        return seq(Terminal(str(first)), _fraction(above, below))
    options = []
    if above.strip("0"):
        options.append(seq(Terminal(str(first)), _fraction(above, "9" * places)))
        first += 1
    if below.strip("9"):
        options.append(seq(Terminal(str(last)), _fraction("0" * places, below)))
        last -= 1
    if first <= last:
        options.insert(0, seq(_whole(first, last), _fraction("0" * places, "9" * places)))
    return alt(options)


def _split(bound: Decimal, places: int) -> tuple[int, str]:
    scaled = int(bound.scaleb(places))
    return scaled // 10**places, str(scaled % 10**places).rjust(places, "0")


def _fraction(low: str, high: str) -> Expr:
    """The part after the digits before the point, so that it is between `low` and `high` read as digits after it."""
    digits = seq(_POINT, _places_between(low, high))
    return digits if low.strip("0") else optional(digits)


def _places_between(low: str, high: str) -> Expr:
    """One digit or more, cut off anywhere, whose value lies between two of the same length."""
    rest = len(low) - 1
    first, last = int(low[0]), int(high[0])
    if first == last:
        return seq(Terminal(low[0]), _more_places(low[1:], high[1:]))
    options = []
    if low[1:].strip("0"):
        options.append(seq(Terminal(low[0]), _more_places(low[1:], "9" * rest)))
        first += 1
    if high[1:].strip("9"):
        options.append(seq(Terminal(high[0]), _more_places("0" * rest, high[1:])))
        last -= 1
    if first <= last:
        options.insert(0, seq(_digit(first, last), _at_most(rest)))
    return alt(options)


def _more_places(low: str, high: str) -> Expr:
    if not low:
        return EMPTY
    more = _places_between(low, high)
    return more if low.strip("0") else optional(more)


def _digit(first: int, last: int) -> Expr:
    return Terminal(str(first)) if first == last else Chars(((0x30 + first, 0x30 + last),))


def _times(count: int) -> Expr:
    return Repeat(DIGIT, count, count) if count else EMPTY


def _at_most(count: int) -> Expr:
    return Repeat(DIGIT, 0, count) if count else EMPTY
