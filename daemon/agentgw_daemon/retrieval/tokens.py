"""From a text to an embedder's tokens: cut to its window, and counted. Runs in a worker.

Two ways to the same tokens: llama.cpp's vocabulary, which a loaded model has anyway, and the tokenizers library, for
folders that have no twin.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from agentgw_daemon.retrieval import bert_words, wire
from agentgw_daemon.retrieval.table import Refusal


class Tokeniser(Protocol):
    """One embedder's."""

    def encode(self, text: str) -> list[int]:
        """The tokens to embed, the marks at both ends included, at most the embedder's window."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, without the marks and without a limit."""


class LlamaTokeniser:
    """By the vocabulary of a GGUF file; `vocabulary` is llama.cpp's handle."""

    def __init__(self, vocabulary: object, embedder: wire.Embedder) -> None:
        from agentgw_daemon.inference.llama import api

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
        """The tokens to embed."""
        if self._by_words:
            return [self._cls, *self._words(text, self._max_tokens - 2), self._sep]
        tokens = self._pieces(text, special=True)
        if len(tokens) <= self._max_tokens:
            return tokens
        return tokens[: self._max_tokens - 1] + tokens[-1:] if self._closes else tokens[: self._max_tokens]

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        if self._by_words:
            return [len(self._words(text, None)) for text in texts]
        return [len(self._pieces(text, special=False)) for text in texts]

    def _words(self, text: str, most: int | None) -> list[int]:
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
            if most is not None and len(tokens) >= most:
                return tokens[:most]
        return tokens

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
        data = text.encode("utf-8", "replace")
        room = len(data) + 8  # a token has at least one byte; some vocabularies put a space before
        buffer = (ctypes.c_int32 * room)()
        count = self._api.llama_tokenize(self._vocabulary, data, len(data), buffer, room, special, marks)
        if count < 0:
            raise Refusal("model", "the text cannot be tokenised")
        return list(buffer[:count])


class FolderTokeniser:
    """By `tokenizer.json` of a folder."""

    def __init__(self, folder: Path, embedder: wire.Embedder) -> None:
        from tokenizers import Tokenizer

        self._library = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._library.no_padding()
        self._library.no_truncation()
        self._max_tokens = embedder.max_tokens

    def encode(self, text: str) -> list[int]:
        """The tokens to embed."""
        self._library.enable_truncation(self._max_tokens)
        ids: list[int] = self._library.encode(_plain(text)).ids
        self._library.no_truncation()
        return ids

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        found = self._library.encode_batch([_plain(text) for text in texts], add_special_tokens=False)
        return [len(one.ids) for one in found]


def _plain(text: str) -> str:
    """Without lone surrogates, which the library refuses."""
    return text.encode("utf-8", "replace").decode("utf-8")
