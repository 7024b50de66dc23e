"""Terms of what a user typed: words, phrases in quotes, names to be found as they are written. Pure."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.words.folding import are_joined, fold, marked, pieces_of, runs, with_sections
from agentgw_daemon.storage.words.stop_words import stop_words_of

# No name is longer, nor has more words; an address of a page may be that long.
_MAX_NAME: Final = 500
_MAX_NAME_WORDS: Final = 16
_MAX_NAMES: Final = 32
MAX_TERMS: Final = 64  # FTS5 nests expressions at most 256 deep; nobody types 64 words
# FTS5 looks through all places of each word of a phrase, and through all words with a beginning, some milliseconds each
# where there are 100,000 chunks. Of a longer phrase these first words are looked for.
MAX_PHRASED: Final = 128
_MAX_BEGINNINGS: Final = 8
# Between words stand two spaces, so that neighbours do not share one and each can be counted.
_BETWEEN: Final = "  "
# Quotes with what closes them. A quote that is never closed, or stands in a word, is none. None is looked for behind
# another one that opens: a text of nothing but quotes would be read to its end from each of them.
_QUOTED: Final = re.compile(
    "|".join(
        rf"(?<!\w){opening}([^{opening}{closing}]*)[{closing}](?!\w)"
        for opening, closing in (
            ('"', '"'), ("“", "”"), ("„", "“”"), ("«", "»"), ("»", "«"), ("”", "”"), ("‹", "›"), ("›", "‹"),
            ("＂", "＂"), ("‚", "‘"),
        )
    )
    # An apostrophe between two letters closes nothing; of typewriters it is a quote around several words only.
    + r"|(?<!\w)‘((?:[^‘’]|(?<=\w)’(?=\w))*)’(?!\w)"
    + r"|(?<!\w)'((?:[^'\s]|(?<=\w)'(?=\w))+(?:\s+(?:[^'\s]|(?<=\w)'(?=\w))+)+)'(?!\w)"
    # Words of these scripts need no space before one.
    + "|「([^「」]*)」|『([^『』]*)』|《([^《》]*)》"
)  # fmt: skip
_ANY_QUOTE: Final = re.compile('["“”„«»‹›＂「」『』《》\\s\\0]+')
# Marks that end or enclose a word of a sentence.
_ENDS: Final = ".,;:!?…、。，！？；：؟"
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}", "<": ">", "（": "）", "'": "'", "`": "`", "‘": "’"}
# Letters and digits in one word; a capital in the middle of one, or several before small ones; four digits and more.
_MIXED: Final = re.compile(r"[^\W\d_]\d|\d[^\W\d_]|[a-z][A-Z]|[A-Z]{2}[a-z]{2}|\d{4}")
_EITHER: Final = re.compile(r"[^\W\d_]+(?:/[^\W\d_]+)+")
_ABBREVIATION: Final = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?")
# Signs between, before or behind words that make them a name: not the hyphens and apostrophes of ordinary words.
_SIGNED: Final = re.compile(
    r"\w(?:[-_]*(?:[_/\\@#$%&+=<>:*~^|]{1,4}|\.)[-_]*|--+)\w|(?:^|\s)(?:-|[_/\\@#$%&.~:§])+\w|\w(?:[+#]|\(\)|::)"
    r"|\$\{\w|\*\.\w"
)


# A word of one character between others of kana, which mostly say what it is in the sentence.
_BETWEEN_KANA: Final = re.compile(r"(?:(?<=[\u3041-\u309f])|^)[\u3400-\u9fff](?=[\u3041-\u309f]|$)")


@record
class Term:
    """Words that stand next to each other, of a text. `beginning`: of the last one a beginning is enough; `quoted`: all
    of it has to be there.
    """

    text: str
    words: tuple[str, ...]
    beginning: bool = False
    quoted: bool = False

    @property
    def match(self) -> str:
        """The FTS5 expression; words have no character that is syntax."""
        return f'"{" ".join(self.words)}"{" *" if self.beginning else ""}'

    @property
    def counted(self) -> str:
        """The pattern to count in a `countable` text."""
        return f" {_BETWEEN.join(self.words)}{'' if self.beginning else ' '}"


@record
class Name:
    """A word or several that mean just this string: an option, an identifier, a number, an address."""

    text: str
    match: str

    def is_in(self, text: str) -> bool:
        """Tells whether the text has it: not as a part of a longer word."""
        at = text.find(self.text)
        while at >= 0:
            behind = at + len(self.text)
            before, after = text[max(0, at - 1) : at], text[behind : behind + 1]
            if not (are_joined(before, self.text[0]) or are_joined(self.text[-1], after)):
                return True
            at = text.find(self.text, at + 1)
        return False


@record
class Terms:
    """Terms of a query: those to be counted, those of them that are demanded, and names.

    `alone`: it is one word or name, whatever the number of terms that this makes, or all else in it says nothing.
    """

    terms: tuple[Term, ...] = ()
    names: tuple[Name, ...] = ()
    alone: bool = False

    @property
    def phrases(self) -> tuple[Term, ...]:
        """The terms that stood in quotes."""
        return tuple(term for term in self.terms if term.quoted)

    def __bool__(self) -> bool:
        return bool(self.terms)


def terms_of(query: str, *, demanding: bool = True) -> Terms:
    """The terms of what a user typed, each once; what has no letter and no digit is left out.

    Not `demanding`, a phrase in quotes counts as one term and need not be there.
    """
    made: dict[tuple[object, ...], Term] = {}
    names: dict[str, Name] = {}
    parts = list(_parts(query))
    for text, quoted in parts:
        if quoted:
            terms: Sequence[Term] = [phrase] if (phrase := _phrase(text, demanded=demanding)) is not None else []
        else:
            terms = list(_terms(text))
        for term in terms:
            made.setdefault((term.words, term.beginning), term)
        name = None if quoted or not terms else _name(text, alone=len(parts) == 1)
        if name is not None:
            names.setdefault(name.text, name)
    unsaying = stop_words_of({word for term in made.values() for word in term.words})
    kept = [term for term in made.values() if term.quoted or not unsaying.issuperset(term.words)] or [*made.values()]
    return Terms(
        terms=tuple(_bounded(kept[:MAX_TERMS])), names=tuple(names.values())[:_MAX_NAMES],
        alone=1 in (len(parts), len(kept)),
    )  # fmt: skip


def countable(words: Sequence[str]) -> str:
    """A text's words so that a term's `counted` can be counted in them."""
    return f" {_BETWEEN.join(words)} "


def _bounded(terms: Iterable[Term]) -> Iterator[Term]:
    """The terms, without what takes too long to be looked for."""
    phrased, beginnings = MAX_PHRASED, _MAX_BEGINNINGS
    for term in terms:
        made = term
        if len(made.words) > 1:
            if len(made.words) > phrased:
                made = dataclasses.replace(made, words=made.words[:phrased], beginning=False)
            phrased -= len(made.words)
        if made.beginning:
            beginnings -= 1
            if beginnings < 0:
                made = dataclasses.replace(made, beginning=False)
        if made.words:
            yield made


def _parts(query: str) -> Iterator[tuple[str, bool]]:
    """Words, and phrases that stand in quotes."""
    at = 0
    for found in chain(_QUOTED.finditer(query), [None]):
        end = len(query) if found is None else found.start()
        yield from ((word, False) for word in _ANY_QUOTE.split(with_sections(query[at:end])) if word)
        if found is not None:
            yield next(group for group in found.groups() if group is not None), True
            at = found.end()


def _phrase(text: str, *, demanded: bool = False) -> Term | None:
    """The words of a text next to each other, as they are in the index."""
    words: list[str] = []
    last = list(runs(fold(text)))
    for at, (word, size) in enumerate(last):
        # A piece is shorter than others only at the end of what it is cut from: that has to be there for the next word.
        parts = pieces_of(word, size)
        words += parts if at < len(last) - 1 else parts[: max(1, len(word) - size + 1)] if size else parts
    if not words:
        return None
    word, size = last[-1]
    return Term(
        text=text.strip(), words=tuple(words), beginning=len(word) < size or _is_beginning(text), quoted=demanded
    )


def _terms(text: str) -> Iterator[Term]:
    """The terms of a text between spaces: one for words that signs join, one for each piece of other scripts."""
    joined: list[str] = []
    ended = False
    for word, size in runs(fold(text)):
        if not size:
            joined.append(word)
            continue
        ended = True
        if len(word) < size:
            yield Term(text=word, words=(word,), beginning=True)
        else:
            yield from (Term(text=piece, words=(piece,)) for piece in pieces_of(word, size)[: len(word) - size + 1])
            # Else it would only be found in front of the same particle.
            yield from (Term(text=one, words=(one,), beginning=True) for one in _BETWEEN_KANA.findall(word))
    if joined:
        yield Term(text=text, words=tuple(joined), beginning=not ended and _is_beginning(text))


def _is_beginning(text: str) -> bool:
    return len(text) > 1 and text.endswith("*") and text[-2].isalnum()


def _name(text: str, *, alone: bool) -> Name | None:
    """The text as a name, if it looks like one or is all that was asked for."""
    if len(text) > _MAX_NAME:
        return None
    core = _core(unicodedata.normalize("NFC", text))
    if not core or (not alone and _ABBREVIATION.fullmatch(core)) or _is_beginning(core):
        return None
    looks_so = _MIXED.search(core) or (_SIGNED.search(core) and not _EITHER.fullmatch(core))
    phrase = _phrase(core) if looks_so or alone else None
    if phrase is None:
        return None
    if len(phrase.words) > _MAX_NAME_WORDS:
        phrase = dataclasses.replace(phrase, words=phrase.words[:_MAX_NAME_WORDS], beginning=False)
    signed = " AND ".join(f'"{word}"' for word in list(dict.fromkeys(marked(core)))[:_MAX_NAME_WORDS])
    return Name(text=core, match=f"({phrase.match} AND marks : ({signed}))" if signed else phrase.match)


def _core(text: str) -> str:
    """The text without the marks of the sentence around it."""
    while text:
        bare = text.rstrip(_ENDS)
        if bare[:1] in _BRACKETS and (bare[1:].count(_BRACKETS[bare[0]]) == 0 or bare[-1] == _BRACKETS[bare[0]]):
            bare = bare[1:].removesuffix(_BRACKETS[bare[0]])
        elif any(bare.endswith(closing) and opening not in bare[:-1] for opening, closing in _BRACKETS.items()):
            bare = bare[:-1]
        if bare == text:
            break
        text = bare
    return text
