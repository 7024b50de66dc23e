r"""Regular expressions of JSON Schema's `pattern`: the part of them that a grammar can follow, and a matcher for it.

Literals, classes, `.`, `\d \w \s`, groups, `|`, quantifiers, and `^` and `$` at the ends. What is generated keeps
to ASCII digits, letters and blanks. The matcher follows all ways at once, so that no pattern takes it more than
linear time, unlike the `re` module. Pure.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Final, assert_never

from agentgw_daemon.inference.structured_output.gbnf import EMPTY, Chars, Expr, Rules, Terminal, alt, optional, seq

# Places in the pattern, what is repeated counted as often.
MAX_PLACES: Final = 200
MAX_REPEAT: Final = 10_000
_LAST: Final = 0x10FFFF
_SHORT: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20)),
}
_CONTROL: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
# JSON's escapes of the characters that may not stand in a string as they are.
_ESCAPED: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}
# Never written: controls, DEL, `"`, `\\`, surrogates.
_UNSAFE: Final = ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF))


class PatternError(Exception):
    """Not a pattern, or one that no grammar can follow; the text says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Set:
    """One character of these ranges."""

    ranges: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Cat:
    """One after the other."""

    parts: tuple[PatternNode, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Or:
    """One of them."""

    options: tuple[PatternNode, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Rep:
    """An item from `least` to `most` times, no limit with `most` None."""

    item: PatternNode
    least: int
    most: int | None


PatternNode = Set | Cat | Or | Rep
_ANY: Final = Set(((0, _LAST),))
_DOT: Final = Set(((0, 0x09), (0x0B, 0x0C), (0x0E, 0x2027), (0x202A, _LAST)))


def parse(pattern: str) -> PatternNode:
    """The pattern as what a whole string must be: parts that it leaves open at its ends are any text."""
    node = _PatternParser(pattern).whole()
    if _places(node) > MAX_PLACES:
        raise PatternError(f"has more than {MAX_PLACES} places")
    return node


class _PatternParser:
    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> PatternNode:
        options = [self._anchored()]
        while self._take("|"):
            options.append(self._anchored())
        if self._at < len(self._text):
            raise PatternError(f"has a `{self._text[self._at]}` too many")
        return Or(tuple(options)) if len(options) > 1 else options[0]

    def _anchored(self) -> PatternNode:
        start = self._take("^")
        body = self._sequence()
        end = self._take("$")
        if self._peek() not in ("", "|", ")"):
            raise PatternError("has a `$` that is not at its end")
        open_end = Rep(_ANY, 0, None)
        return Cat((*(() if start else (open_end,)), body, *(() if end else (open_end,))))

    def _either(self) -> PatternNode:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return Or(tuple(options)) if len(options) > 1 else options[0]

    def _sequence(self) -> PatternNode:
        parts: list[PatternNode] = []
        while self._peek() not in ("", "|", ")", "$"):
            parts.append(self._quantified())
        return parts[0] if len(parts) == 1 else Cat(tuple(parts))

    def _quantified(self) -> PatternNode:
        item = self._atom()
        match self._peek():
            case "*":
                bounds: tuple[int, int | None] = (0, None)
            case "+":
                bounds = (1, None)
            case "?":
                bounds = (0, 1)
            case "{":
                bounds = self._braces()
            case _:
                return item
        self._at += 1
        self._take("?")  # a lazy quantifier matches the same strings
        if self._peek() in ("*", "+", "?", "{"):
            raise PatternError("has a quantifier after a quantifier")
        if bounds != (0, 1) and lengths(item)[0] == 0:
            raise PatternError("repeats something that may be empty")
        return Rep(item, *bounds)

    def _braces(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : end].partition(",")
        if end < 0 or not low.isdecimal() or (high and not high.isdecimal()) or max(len(low), len(high)) > 9:
            raise PatternError("has a `{` that is no quantifier")
        self._at = end
        least = int(low)
        most = (int(high) if high else None) if comma else least
        if most is not None and most < least:
            raise PatternError("has a quantifier whose bounds are the wrong way round")
        if max(least, most or 0) > MAX_REPEAT:
            raise PatternError(f"repeats something more than {MAX_REPEAT} times")
        return least, most

    def _atom(self) -> PatternNode:
        character = self._next()
        match character:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return _DOT
            case "\\":
                return Set(self._escape())
            case "*" | "+" | "?" | "{" | "^":
                raise PatternError(f"has a `{character}` where none can be")
            case _:
                return Set(((ord(character), ord(character)),))

    def _group(self) -> PatternNode:
        if self._take("?") and not self._take(":"):
            raise PatternError("has a group of a kind that is not supported")
        self._depth += 1
        if self._depth > 20:
            raise PatternError("nests too deeply")
        node = self._either()
        self._depth -= 1
        if not self._take(")"):
            raise PatternError("has a group that does not end" if self._peek() != "$" else "has a `$` in a group")
        return node

    def _class(self) -> PatternNode:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            low = self._member()
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._member()
                if len(low) != 1 or len(high) != 1 or low[0][0] > high[0][1]:
                    raise PatternError("has a range that is none")
                low = ((low[0][0], high[0][1]),)
            ranges.extend(low)
        made = _without(((0, _LAST),), ranges) if negated else tuple(ranges)
        if not made:
            raise PatternError("has a class of no characters")
        return Set(made)

    def _member(self) -> tuple[tuple[int, int], ...]:
        character = self._next()
        return self._escape() if character == "\\" else ((ord(character), ord(character)),)

    def _escape(self) -> tuple[tuple[int, int], ...]:
        character = self._next()
        if character in _SHORT:
            return _SHORT[character]
        if character.lower() in _SHORT:
            return _without(((0, _LAST),), _SHORT[character.lower()])
        if character in _CONTROL:
            point = ord(_CONTROL[character])
        elif character in "xu":
            size = 2 if character == "x" else 4
            digits = self._text[self._at : self._at + size]
            if len(digits) < size or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
                raise PatternError(f"has a `\\{character}` without its digits")
            self._at += size
            point = int(digits, 16)
        elif character.isalnum():
            raise PatternError(f"uses `\\{character}`, which is not supported")
        else:
            point = ord(character)
        return ((point, point),)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise PatternError("ends in the middle")
        self._at += 1
        return character

    def _take(self, character: str) -> bool:
        found = self._peek() == character
        self._at += found
        return found


def _without(
    ranges: tuple[tuple[int, int], ...], taken: list[tuple[int, int]] | tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    left = list(ranges)
    for low, high in taken:
        split = [((first, min(last, low - 1)), (max(first, high + 1), last)) for first, last in left]
        left = [part for part in itertools.chain.from_iterable(split) if part[0] <= part[1]]
    return tuple(left)


def _places(node: PatternNode) -> int:
    match node:
        case Set():
            return 1
        case Cat(parts=parts) | Or(options=parts):
            return sum(map(_places, parts))
        case Rep(item=Set()):
            return 2
        case Rep(item=item, least=least, most=most):
            return _places(item) * max(least + 1 if most is None else most, 1)
        case _:
            assert_never(node)


def lengths(node: PatternNode) -> tuple[int, int | None]:
    """The fewest and the most characters of a match; None is no limit."""
    match node:
        case Set():
            return 1, 1
        case Cat(parts=parts):
            each = [lengths(part) for part in parts]
            ends = [most for _, most in each]
            return sum(least for least, _ in each), None if None in ends else sum(e for e in ends if e is not None)
        case Or(options=options):
            each = [lengths(option) for option in options]
            ends = [most for _, most in each]
            return min(least for least, _ in each), None if None in ends else max(e for e in ends if e is not None)
        case Rep(item=item, least=least, most=most):
            low, high = lengths(item)
            return low * least, None if most is None or high is None else high * most
        case _:
            assert_never(node)


def bounded(node: PatternNode, least: int, most: int | None) -> PatternNode | None:
    """The pattern for strings of `least` to `most` characters; None where that would take another pattern."""
    low, high = lengths(node)
    if low >= least and (most is None or (high is not None and high <= most)):
        return node
    inner = node
    while isinstance(inner, Cat) and len(inner.parts) == 1:
        inner = inner.parts[0]
    if isinstance(inner, Rep) and isinstance(inner.item, Set):
        ends = [end for end in (inner.most, most) if end is not None]
        lower, upper = max(inner.least, least), min(ends, default=None)
        return Rep(inner.item, lower, upper) if upper is None or lower <= upper else None
    return None


def expression(node: PatternNode, rules: Rules) -> Expr:
    """The expression for the inside of a JSON string that matches. Raises PatternError."""
    match node:
        case Set(ranges=ranges):
            return _characters(ranges)
        case Cat(parts=parts):
            return seq(*(expression(part, rules) for part in parts))
        case Or(options=options):
            return alt(expression(option, rules) for option in options)
        case Rep(item=item, least=0, most=1):
            inner = expression(item, rules)
            return EMPTY if inner == EMPTY else optional(inner)
        case Rep(item=item, least=least, most=most):
            return rules.repeat(expression(item, rules), least, most)
        case _:
            assert_never(node)


def _characters(ranges: tuple[tuple[int, int], ...]) -> Expr:
    options: list[Expr] = []
    safe = _without(ranges, _UNSAFE)
    if safe:
        options.append(Chars(safe))
    # A class so wide was not made with quotes and line ends in mind: it does without them.
    if sum(high - low + 1 for low, high in ranges) < 0x100:
        points = [character for character in _ESCAPED if any(low <= ord(character) <= high for low, high in ranges)]
        options += [Terminal(_ESCAPED[character]) for character in points]
    if not options:
        raise PatternError("asks for characters that are not written")
    return alt(options)


class Matcher:
    """Tells whether a whole string matches, in time linear in its length."""

    def __init__(self, node: PatternNode) -> None:
        # A state is a list of (ranges, next state); state 0 is the end. `None` for the ranges: goes on for free.
        self._states: list[list[tuple[tuple[tuple[int, int], ...] | None, int]]] = [[]]
        self._start = self._add(node, 0)

    def _add(self, node: PatternNode, after: int) -> int:
        match node:
            case Set(ranges=ranges):
                return self._state([(ranges, after)])
            case Cat(parts=parts):
                for part in reversed(parts):
                    after = self._add(part, after)
                return after
            case Or(options=options):
                return self._state([(None, self._add(option, after)) for option in options])
            case Rep(item=item, least=least, most=most):
                if most is None:
                    loop = self._state([(None, after)])
                    self._states[loop].append((None, self._add(item, loop)))
                    after = loop
                else:
                    end = after
                    for _ in range(most - least):
                        after = self._state([(None, self._add(item, after)), (None, end)])
                for _ in range(least):
                    after = self._add(item, after)
                return after
            case _:
                assert_never(node)

    def _state(self, moves: list[tuple[tuple[tuple[int, int], ...] | None, int]]) -> int:
        self._states.append(moves)
        return len(self._states) - 1

    def matches(self, text: str) -> bool:
        """Tells whether the text matches."""
        alive = self._closure({self._start})
        for character in text:
            point = ord(character)
            alive = self._closure(
                {
                    after
                    for state in alive
                    for ranges, after in self._states[state]
                    if ranges is not None and any(low <= point <= high for low, high in ranges)
                }
            )
            if not alive:
                return False
        return 0 in alive

    def _closure(self, states: set[int]) -> set[int]:
        todo = list(states)
        while todo:
            for ranges, after in self._states[todo.pop()]:
                if ranges is None and after not in states:
                    states.add(after)
                    todo.append(after)
        return states
