"""Tokens of a text that llama.cpp embeds: those of the embedder's own tokeniser, cut to its window.

Runs in a worker.
"""

from __future__ import annotations

import ctypes
import itertools
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding import bert_words
from agentgw_daemon.workers.retrieval.handlers import Refusal

# Unknown tokens of a text, as a share: beyond it the vector says what is unknown, not what the text is about, and
# is near to that of any such text. With the default embedder Thai has 1.0, Chinese 0.7, Japanese 0.4, Hindi, Greek and
# Russian none.
MOST_UNKNOWN: Final = 0.35


def can_judge(text: str, encode: Callable[[str], Sequence[int]], unknown: int) -> bool:
    """Tells whether enough of a text's tokens are known for its vector to mean something. Pictures do not count, where
    there is anything else.
    """
    if text.isascii() and all(len(word) <= bert_words.MAX_WORD for word in text.split()):
        return True
    tokens = encode("".join(" " if unicodedata.category(char)[0] == "S" else char for char in text)) or encode(text)
    return tokens.count(unknown) <= MOST_UNKNOWN * len(tokens)


class LlamaTokeniser:
    """Tokeniser by the vocabulary of a GGUF file; `vocabulary` is llama.cpp's handle."""

    def __init__(self, vocabulary: object, embedder: wire.Embedder) -> None:
        from agentgw_daemon.workers.llama.llama import api

        self._api = api
        self._vocabulary = vocabulary
        self._size = api.llama_vocab_n_tokens(vocabulary)
        self._max_tokens = embedder.max_tokens
        self._by_words = embedder.bert_words
        # Spelled pieces with their numbers: read only when a text needs it, for they are megabytes.
        self._spelled: dict[str, int] = {}
        self._cls, self._sep = api.llama_vocab_bos(vocabulary), api.llama_vocab_sep(vocabulary)
        self._unknown = self._mark("[UNK]") if self._by_words else 0
        # Where the model wants marks around a text: before it, and after it.
        marks = self._pieces("", special=True)
        self._closes = len(marks) > 1 or (len(marks) == 1 and not api.llama_vocab_get_add_bos(vocabulary))

    def encode(self, text: str) -> list[int]:
        """The tokens to embed; what is no character, a lone surrogate, is a question mark."""
        text = text.encode("utf-8", "replace").decode("utf-8")
        if self._by_words:
            return [self._cls, *self._words(text, self._max_tokens - 2), self._sep]
        tokens = self._pieces(text, special=True)
        if len(tokens) <= self._max_tokens:
            return tokens
        return tokens[: self._max_tokens - 1] + tokens[-1:] if self._closes else tokens[: self._max_tokens]

    def knows(self, text: str) -> bool:
        """See `can_judge`. Vocabularies of other kinds spell what they lack."""
        return not self._by_words or can_judge(
            text.encode("utf-8", "replace").decode("utf-8"),
            lambda clean: self._words(clean, self._max_tokens),
            self._unknown,
        )

    def _words(self, text: str, most: int) -> list[int]:
        tokens: list[int] = []
        for part in bert_words.SPECIAL.split(text):
            if bert_words.SPECIAL.fullmatch(part):
                tokens.append(self._mark(part))
            else:
                # Each word is a token at least, so no more words are needed than tokens.
                words = itertools.islice(bert_words.words(part), most)
                for whole, run in itertools.groupby(words, bert_words.is_whole):
                    if whole:
                        tokens += self._pieces(" ".join(run), special=False)
                    else:
                        tokens += [piece for word in run for piece in self._own_pieces(word)]
            if len(tokens) >= most:
                break
        return tokens[:most]

    def _mark(self, text: str) -> int:
        [token] = self._pieces(text, special=False, marks=True)
        return token

    def _read_vocabulary(self) -> dict[str, int]:
        texts = (self._api.llama_vocab_get_text(self._vocabulary, token) for token in range(self._size))
        return {text.decode("utf-8", "replace"): token for token, text in enumerate(texts)}

    def _own_pieces(self, word: str) -> list[int]:
        """The longest piece of the vocabulary again and again, as WordPiece has it; unknown where one is missing."""
        vocabulary = self._spelled = self._spelled or self._read_vocabulary()
        pieces: list[int] = []
        start, end = 0, len(word)
        if end > bert_words.MAX_WORD:
            return [self._unknown]
        while start < end:
            piece = vocabulary.get(word[start:end] if start else f"▁{word[start:end]}")
            if piece is not None:
                pieces.append(piece)
                start, end = end, len(word)
            else:
                end -= 1
                if end == start:
                    return [self._unknown]
        return pieces

    def _pieces(self, text: str, *, special: bool, marks: bool = False) -> list[int]:
        data = text.encode("utf-8")
        room = len(data) + 8  # a token has at least one byte; some vocabularies put a space before
        buffer = (ctypes.c_int32 * room)()
        count = self._api.llama_tokenize(self._vocabulary, data, len(data), buffer, room, special, marks)
        if count < 0:
            raise Refusal("model", "the text cannot be tokenised")
        return list(buffer[:count])
