"""Patterns of a gitignore file, as git reads and matches them (gitignore(5), git's wildmatch). Pure; works on bytes.

Patterns are a stranger's text, so no backtracking: all of a file run at once as one nondeterministic automaton, whose
set of states is the bits of an integer (Shift-And; Baeza-Yates and Gonnet, "A new approach to text searching", 1992).
A name costs its length times the length of the patterns in machine words, whatever stands in either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
_SLASH: Final = ord("/")
_BACKSLASH: Final = ord("\\")
_STAR: Final = ord("*")
_DASH: Final = ord("-")
_SPECIAL: Final = frozenset(b"*?[\\")

# An element that takes one byte is the set of those bytes, as bits; the others stand below zero.
_ANY: Final = (1 << 256) - 2
_RUN: Final = -1  # any bytes but slashes
_RUN_WITH_SLASHES: Final = -2
# Before "**/", which stands for nothing or for any folders: passes over the two elements that follow it, or does not.
_MAYBE: Final = -3


def _bytes_where(test: Callable[[str], bool]) -> int:
    return sum(1 << code for code in range(1, 128) if test(chr(code)))


_CLASSES: Final = {
    b"alnum": _bytes_where(str.isalnum),
    b"alpha": _bytes_where(str.isalpha),
    b"blank": _bytes_where(lambda char: char in " \t"),
    b"cntrl": _bytes_where(lambda char: char < " " or char == "\x7f"),
    b"digit": _bytes_where(str.isdigit),
    b"graph": _bytes_where(lambda char: " " < char < "\x7f"),
    b"lower": _bytes_where(str.islower),
    b"print": _bytes_where(lambda char: " " <= char < "\x7f"),
    b"punct": _bytes_where(lambda char: " " < char < "\x7f" and not char.isalnum()),
    # Of git's own table, not the C library's: without vertical tab and form feed.
    b"space": _bytes_where(lambda char: char in " \t\n\r"),
    b"upper": _bytes_where(str.isupper),
    b"xdigit": _bytes_where(lambda char: char in "0123456789abcdefABCDEF"),
}
_UPPER: Final = _CLASSES[b"upper"]
_LOWER: Final = _CLASSES[b"lower"]
_BETWEEN_CASES: Final = ord("a") - ord("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One line. `elements` None: a pattern that git finds malformed, which fits nothing."""

    takes_back: bool
    directories_only: bool
    # Without a slash inside it holds for a name in any folder below, otherwise for the path.
    is_of_names: bool
    elements: tuple[int, ...] | None


class Patterns:
    """Patterns of one file, the last one that fits deciding."""

    def __init__(self, lines: Iterable[Pattern]) -> None:
        self._takes_back = []
        names, paths = _Builder(), _Builder()
        for number, line in enumerate(lines):
            self._takes_back.append(line.takes_back)
            if line.elements is not None:
                builder = names if line.is_of_names else paths
                builder.add(number, line.elements, directories_only=line.directories_only)
        self._names, self._paths = _Automaton(names), _Automaton(paths)

    def decide(self, path: bytes, *, is_directory: bool) -> bool | None:
        """True leaves out a path relative to where the patterns hold, False takes it back, None says nothing."""
        name = path.rpartition(b"/")[2]
        number = max(
            self._names.last_that_fits(name, is_directory=is_directory),
            self._paths.last_that_fits(path, is_directory=is_directory),
        )
        return None if number < 0 else not self._takes_back[number]


def parsed(content: bytes, *, any_case: bool = False) -> tuple[Pattern, ...]:
    """The patterns of a file's content, by which names in `any_case` fit; empty lines and comments are none."""
    found = []
    for line in content.removeprefix(_BOM).split(b"\n"):
        if not line or line.startswith(b"#"):
            continue
        # git's strings end at a NUL.
        text = _without_blanks(line.removesuffix(b"\r").partition(b"\0")[0])
        found.append(_pattern(text, any_case=any_case))
    return tuple(found)


def _without_blanks(line: bytes) -> bytes:
    """The line without the spaces at the end, but for those that are escaped."""
    bare = line.rstrip(b" ")
    escapes = len(bare) - len(bare.rstrip(b"\\"))
    return line[: len(bare) + 1] if escapes % 2 and len(bare) < len(line) else bare


def _pattern(text: bytes, *, any_case: bool) -> Pattern:
    takes_back = text.startswith(b"!")
    text = text[takes_back:]
    directories_only = text.endswith(b"/")
    text = text[: len(text) - directories_only]
    is_of_names = b"/" not in text
    # An empty one fits nothing: no name is empty.
    elements = _elements(text, is_of_names=is_of_names, any_case=any_case) if text else None
    return Pattern(
        takes_back=takes_back, directories_only=directories_only, is_of_names=is_of_names, elements=elements
    )  # fmt: skip


def _elements(text: bytes, *, is_of_names: bool, any_case: bool) -> tuple[int, ...] | None:
    if not is_of_names:
        text = text.removeprefix(b"/")
    plain = next((at for at, byte in enumerate(text) if byte in _SPECIAL), len(text))
    made = [_one(byte, any_case=any_case) for byte in text[:plain]]
    # git compares what comes before the first special character by itself: the rest has a beginning of its own.
    rest = _GlobParser(text[plain:], crosses_slashes=is_of_names, any_case=any_case).run()
    return None if rest is None else (*made, *rest)


class _GlobParser:
    """Makes elements of a pattern. With `crosses_slashes` a slash is like any other byte."""

    def __init__(self, text: bytes, *, crosses_slashes: bool, any_case: bool) -> None:
        self._text = text
        self._crosses_slashes = crosses_slashes
        self._any_case = any_case
        self._at = 0
        self._made: list[int] = []

    def run(self) -> tuple[int, ...] | None:
        """The elements, None for a malformed pattern."""
        while self._at < len(self._text):
            byte = self._text[self._at]
            if byte == _STAR:
                self._take_stars()
                continue
            if byte == ord("["):
                found = self._taken_set()
                if found is None:
                    return None
                self._made.append(found if self._crosses_slashes else found & ~(1 << _SLASH))
                continue
            if byte == ord("?"):
                self._made.append(_ANY if self._crosses_slashes else _ANY & ~(1 << _SLASH))
                self._at += 1
                continue
            if byte == _BACKSLASH:
                self._at += 1
                if self._at == len(self._text):
                    return None
                byte = self._text[self._at]
            self._made.append(_one(byte, any_case=self._any_case))
            self._at += 1
        return tuple(self._made)

    def _take_stars(self) -> None:
        text, start = self._text, self._at
        while self._at < len(text) and text[self._at] == _STAR:
            self._at += 1
        rest = text[self._at : self._at + 2]
        stands_alone = (start == 0 or text[start - 1] == _SLASH) and (rest[:1] in (b"", b"/") or rest == b"\\/")
        if self._crosses_slashes:
            self._made.append(_RUN_WITH_SLASHES)
        elif self._at - start < 2 or not stands_alone:
            self._made.append(_RUN)
        elif rest[:1] != b"/":
            self._made.append(_RUN_WITH_SLASHES)
        else:
            self._at += 1
            # Twice in a row is the same as once, and once leaves a single step to the automaton.
            if self._made[-3:] != [_MAYBE, _RUN_WITH_SLASHES, 1 << _SLASH]:
                self._made += [_MAYBE, _RUN_WITH_SLASHES, 1 << _SLASH]

    def _taken_set(self) -> int | None:
        """The bytes of a bracket expression, None when it does not end or has a class that there is none of."""
        text = self._text + b"\0"
        at = self._at + 1
        negated = text[at] in b"!^"
        at += negated
        found, before, first = 0, 0, True
        while first or text[at] != ord("]"):
            first = False
            byte = text[at]
            if byte == 0:
                return None
            if byte == _BACKSLASH:
                at += 1
                before = text[at]
                if before == 0:
                    return None
                found |= 1 << before
            elif byte == _DASH and before and text[at + 1] not in b"]\0":
                at += 1
                if text[at] == _BACKSLASH:
                    at += 1
                    if text[at] == 0:
                        return None
                found |= self._cased(_range(before, text[at]))
                before = 0
            elif byte == ord("[") and text[at + 1] == ord(":"):
                end = text.find(b"]", at + 2)
                if end < 0:
                    return None
                if end > at + 2 and text[end - 1] == ord(":"):
                    members = _CLASSES.get(text[at + 2 : end - 1])
                    if members is None:
                        return None
                    found, before, at = found | self._cased(members), 0, end
                else:
                    # Not a class: the bracket is a member like any other.
                    found, before = found | 1 << byte, byte
            else:
                found, before = found | 1 << byte, byte
            at += 1
        self._at = at + 1
        if self._any_case:
            # A name is looked at in small letters: a capital that is a member by itself, git does not find in it.
            found = found & ~_UPPER | (found & _LOWER) >> _BETWEEN_CASES
        return _ANY & ~found if negated else found

    def _cased(self, members: int) -> int:
        """Members of a range or a class; small letters are members where their capitals are, if case does not count."""
        return members | (members & _UPPER) << _BETWEEN_CASES if self._any_case else members


def _one(byte: int, *, any_case: bool) -> int:
    """An element that takes this byte."""
    bit = 1 << byte
    if not any_case:
        return bit
    return bit | (bit & _UPPER) << _BETWEEN_CASES | (bit & _LOWER) >> _BETWEEN_CASES


def _range(low: int, high: int) -> int:
    return (1 << high + 1) - (1 << low) if low <= high else 0


@dataclass(slots=True)
class _Builder:
    """Positions of states: one before each element of each pattern, and one after the last."""

    size: int = 0
    starts: list[int] = field(default_factory=list)
    maybes: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    runs_with_slashes: list[int] = field(default_factory=list)
    single: dict[int, list[int]] = field(default_factory=dict)
    several: list[tuple[int, int]] = field(default_factory=list)
    # State after a whole pattern, in the order of the lines, and the number of its line.
    ends: dict[int, int] = field(default_factory=dict)
    ends_for_all: list[int] = field(default_factory=list)

    def add(self, number: int, elements: Sequence[int], *, directories_only: bool) -> None:
        """Put a pattern behind those that are there."""
        self.starts.append(self.size)
        for at, element in enumerate(elements, self.size):
            if element == _MAYBE:
                self.maybes.append(at)
            elif element in (_RUN, _RUN_WITH_SLASHES):
                self.runs.append(at)
                if element == _RUN_WITH_SLASHES:
                    self.runs_with_slashes.append(at)
            elif element.bit_count() == 1:
                self.single.setdefault(element.bit_length() - 1, []).append(at)
            else:
                self.several.append((at, element))
        end = self.size + len(elements)
        self.ends[end] = number
        if not directories_only:
            self.ends_for_all.append(end)
        self.size = end + 1


class _Automaton:
    def __init__(self, built: _Builder) -> None:
        self._built = built
        self._maybes = self._bits(built.maybes)
        self._runs = self._bits(built.runs)
        self._runs_with_slashes = self._bits(built.runs_with_slashes)
        self._ends_for_all = self._bits(built.ends_for_all)
        self._ends = self._bits(built.ends)
        # For each byte the states in which the next element takes it, made when a name first has it.
        self._takes: list[int | None] = [None] * 256
        self._start = self._passed_over(self._bits(built.starts))

    def last_that_fits(self, text: bytes, *, is_directory: bool) -> int:
        """The number of the last line that fits the whole text, -1 for none."""
        states = self._start
        for byte in text:
            if not states:
                return -1
            takes = self._takes[byte]
            if takes is None:
                takes = self._takes[byte] = self._taking(byte)
            runs = self._runs_with_slashes if byte == _SLASH else self._runs
            states = self._passed_over((states & takes) << 1 | states & runs)
        states &= self._ends if is_directory else self._ends_for_all
        return self._built.ends[states.bit_length() - 1] if states else -1

    def _passed_over(self, states: int) -> int:
        """The states with those that are reached by taking nothing."""
        maybe = states & self._maybes
        states |= maybe << 1 | maybe << 3
        return states | (states & self._runs) << 1

    def _taking(self, byte: int) -> int:
        bit = 1 << byte
        several = [at for at, members in self._built.several if members & bit]
        return self._bits([*self._built.single.get(byte, ()), *several])

    def _bits(self, positions: Iterable[int]) -> int:
        made = bytearray(self._built.size // 8 + 1)
        for at in positions:
            made[at >> 3] |= 1 << (at & 7)
        return int.from_bytes(made, "little")
