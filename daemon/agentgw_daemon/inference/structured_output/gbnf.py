"""Grammars in GBNF, the notation of llama.cpp's grammar sampler: expressions, rules, and the text it parses. Pure.

llama.cpp follows a grammar with a set of stacks, one for each way to read the text so far. A repetition of something
that may be empty makes that set explode, so nobody here may build one; and it refuses or mangles large `{m,n}`, so
large repetitions are halved into rules: of n, at most log2(n) more stacks and rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final, assert_never

# A grammar of this size is parsed in 10 ms. What people write makes some hundred rules.
MAX_RULES: Final = 20_000
MAX_CHARACTERS: Final = 4 << 20
# llama.cpp's own bound is 2,000 rules made by one repetition, nested ones multiplied.
MAX_REPEAT: Final = 128


class TooLarge(Exception):
    """The grammar has more rules or characters than is sensible."""


@dataclasses.dataclass(frozen=True, slots=True)
class Terminal:
    """Exactly this text."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Chars:
    """One character of these ranges, both ends included; of all others if `negated`."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Ref:
    """A rule."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    parts: tuple[Expr, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Alt:
    """One of them."""

    options: tuple[Expr, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Repeat:
    """An item from `least` to `most` times, no limit with `most` None. The item must not be empty."""

    item: Expr
    least: int
    most: int | None


Expr = Terminal | Chars | Ref | Seq | Alt | Repeat
EMPTY: Final = Terminal("")
DIGIT: Final = Chars(((0x30, 0x39),))


def seq(*parts: Expr) -> Expr:
    """One after the other, without the empty ones."""
    kept = tuple(part for part in parts if part != EMPTY)
    return kept[0] if len(kept) == 1 else Seq(kept) if kept else EMPTY


def alt(options: Iterable[Expr]) -> Expr:
    """One of them, each once."""
    kept = tuple(dict.fromkeys(options))
    return kept[0] if len(kept) == 1 else Alt(kept)


def optional(item: Expr) -> Expr:
    """The item or nothing."""
    return Repeat(item, 0, 1)


class Rules:
    """The rules of a grammar in the making; equal expressions share one. Raises TooLarge."""

    def __init__(self) -> None:
        self._rules: dict[str, Expr] = {}
        self._names: dict[Expr, Ref] = {}
        self._counted: dict[tuple[Expr, int, int], Expr] = {}
        self._size = 0

    def reserve(self) -> Ref:
        """A rule to be defined later."""
        if len(self._rules) >= MAX_RULES:
            raise TooLarge(f"makes more than {MAX_RULES} grammar rules")
        name = f"r{len(self._rules)}"
        self._rules[name] = EMPTY
        return Ref(name)

    def define(self, ref: Ref, expr: Expr) -> None:
        """Say what a reserved rule is."""
        self._rules[ref.name] = expr
        self._size += len(render(expr))
        if self._size > MAX_CHARACTERS:
            raise TooLarge(f"makes a grammar of more than {MAX_CHARACTERS} characters")

    def name(self, expr: Expr) -> Ref:
        """The rule that is this expression."""
        if isinstance(expr, Ref):
            return expr
        if expr not in self._names:
            ref = self.reserve()
            self.define(ref, expr)
            self._names[expr] = ref
        return self._names[expr]

    def repeat(self, item: Expr, least: int, most: int | None) -> Expr:
        """The item so many times; it must not be empty."""
        item = self.name(item) if isinstance(item, Seq | Alt | Repeat) else item
        if most is None:
            return seq(self._exactly(item, least), Repeat(item, 0, None)) if least > 1 else Repeat(item, least, None)
        if most <= MAX_REPEAT:
            return EMPTY if most == 0 else Repeat(item, least, most)
        return seq(self._exactly(item, least), self._at_most(item, most - least))

    def _exactly(self, item: Expr, count: int) -> Expr:
        if count <= MAX_REPEAT:
            return EMPTY if count == 0 else Repeat(item, count, count)
        key = (item, count, count)
        if key not in self._counted:
            half = count // 2
            self._counted[key] = self.name(seq(self._exactly(item, half), self._exactly(item, count - half)))
        return self._counted[key]

    def _at_most(self, item: Expr, count: int) -> Expr:
        if count <= MAX_REPEAT:
            return EMPTY if count == 0 else Repeat(item, 0, count)
        key = (item, 0, count)
        if key not in self._counted:
            half = (count + 1) // 2
            more = seq(self._exactly(item, half), self._at_most(item, count - half))
            self._counted[key] = self.name(alt((self._at_most(item, half - 1), more)))
        return self._counted[key]

    def one_of(self, texts: Iterable[str]) -> tuple[Expr, int]:
        """One of these texts, and how many ways there are at most at one place: a tree of common beginnings."""
        root = self.reserve()
        todo = [(root, sorted(set(texts)))]
        widest = 1
        while todo:
            ref, group = todo.pop()
            by_first: dict[str, list[str]] = {}
            for text in group:
                by_first.setdefault(text[:1], []).append(text)
            options: list[Expr] = []
            for same in by_first.values():
                shared = _common_beginning(same[0], same[-1])
                if len(same) == 1:
                    options.append(Terminal(shared))
                    continue
                rest = self.reserve()
                options.append(Seq((Terminal(shared), rest)))
                todo.append((rest, [text[len(shared) :] for text in same]))
            widest = max(widest, len(options))
            self.define(ref, alt(options))
        return root, widest

    def endless(self) -> set[str]:
        """The rules that no finite text meets."""
        finite: set[str] = set()
        left = dict(reversed(self._rules.items()))
        while found := [name for name, expr in left.items() if _is_finite(expr, finite)]:
            finite.update(found)
            for name in found:
                del left[name]
        return set(left)

    def text(self, root: Expr) -> str:
        """The whole grammar, its root rule `root`."""
        lines = [f"root ::= {render(root)}"]
        lines += [f"{name} ::= {render(expr)}" for name, expr in self._rules.items()]
        return "\n".join(lines) + "\n"


def _common_beginning(one: str, other: str) -> str:
    for at, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return one[:at]
    return min(one, other, key=len)


def _is_finite(expr: Expr, finite: set[str]) -> bool:
    match expr:
        case Terminal() | Chars():
            return True
        case Ref(name=name):
            return name in finite
        case Seq(parts=parts):
            return all(_is_finite(part, finite) for part in parts)
        case Alt(options=options):
            return any(_is_finite(option, finite) for option in options)
        case Repeat(item=item, least=least):
            return least == 0 or _is_finite(item, finite)
        case _:
            assert_never(expr)


def render(expr: Expr) -> str:
    """The notation of an expression."""
    match expr:
        case Terminal(text=text):
            return '"' + "".join(map(_literal, text)) + '"'
        case Chars(ranges=ranges, negated=negated):
            inside = "".join(_code(low) if low == high else f"{_code(low)}-{_code(high)}" for low, high in ranges)
            return f"[{'^' if negated else ''}{inside}]"
        case Ref(name=name):
            return name
        case Seq(parts=parts):
            return " ".join(f"({render(part)})" if isinstance(part, Alt) else render(part) for part in parts)
        case Alt(options=options):
            return " | ".join(map(render, options))
        case Repeat(item=item, least=least, most=most):
            inner = f"({render(item)})" if isinstance(item, Seq | Alt | Repeat) else render(item)
            return inner + _times(least, most)
        case _:
            assert_never(expr)


def _times(least: int, most: int | None) -> str:
    match least, most:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case 1, 1:
            return ""
    return f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"


def _literal(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else _code(ord(character))


def _code(point: int) -> str:
    if 0x30 <= point <= 0x39 or 0x41 <= point <= 0x5A or 0x61 <= point <= 0x7A:
        return chr(point)
    return f"\\x{point:02X}" if point < 0x100 else f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"
