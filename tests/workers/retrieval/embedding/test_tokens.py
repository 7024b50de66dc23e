"""llama.cpp is given the tokens that the tokenizers library makes, whatever the text."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from agentgw_daemon.models.embedders import CONVERSION_FILE
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding import bert_words
from agentgw_daemon.workers.retrieval.embedding.embedder_info import of_folder
from agentgw_daemon.workers.retrieval.embedding.llama_encoder import LlamaEncoder
from tests.starter import embedder_folder
from tests.workers.retrieval.embedding.tinybert import MAX_TOKENS, make_folder

Encode = Callable[[str], list[int]]
WINDOW = 256


def agreed(char: str) -> bool:
    """Tells whether both sides know the character alike: what Unicode has changed since, the library's older tables
    do not know, and neither does any vocabulary.
    """
    kind = unicodedata.category(char)
    return kind == unicodedata.ucd_3_2_0.category(char) and kind not in ("Cn", "Cs") and char != "▁"


OLD = st.characters(max_codepoint=0x2FFF).filter(agreed)
WORDS = st.sampled_from(["[SEP]", "[CLS]", "[UNK]", "[mask]", "a" * 100, "b" * 101, "hello", "World", "héé", "e\u0301",
                         "don't", "x=1;", "日本", "हिन्दी", "\u200d", "\n\n", "ﬁ", "½", "🙂", "İ", "ΣΣ"])  # fmt: skip
TEXTS = st.lists(st.one_of(WORDS, st.text(OLD, max_size=8)), max_size=12).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda gap: gap.join(parts))
)


def pair(folder: Path, gguf: Path, max_tokens: int) -> tuple[Encode, Encode]:
    """Ours and the library's."""
    library: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.no_padding()
    library.enable_truncation(max_tokens - (0 if library.post_processor else 2))
    first, last = library.token_to_id("[CLS]"), library.token_to_id("[SEP]")
    embedder = wire.Embedder(
        name="t", id="", dim=of_dim(gguf), max_tokens=max_tokens, gguf=str(gguf), bert_words=True
    )  # fmt: skip
    ours = LlamaEncoder(embedder, at_once=1, lean=True).tokeniser.encode

    def theirs(text: str) -> list[int]:
        ids: list[int] = library.encode(text).ids
        return ids if library.post_processor else [first, *ids, last]

    return ours, theirs


def of_dim(gguf: Path) -> int:
    from agentgw_daemon.workers.llama.gguf import inspect

    dim = inspect(gguf).metadata["bert.embedding_length"]
    assert isinstance(dim, int)
    return dim


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encode, Encode]:
    folder = make_folder(tmp_path_factory.mktemp("tokens") / "model")
    conversion = folder.parent / "conversion.gguf"
    assert of_folder(folder, conversion).has_conversion
    return pair(folder, conversion, MAX_TOKENS)


@given(text=TEXTS)
@settings(max_examples=300)
def test_any_text_has_the_librarys_tokens(tiny: tuple[Encode, Encode], text: str) -> None:
    ours, theirs = tiny
    assert ours(text) == theirs(text)


@pytest.mark.parametrize("length", [13, 14, 15, 16, 40])
def test_a_long_text_is_cut_where_the_library_cuts_it(tiny: tuple[Encode, Encode], length: int) -> None:
    ours, theirs = tiny
    text = " ".join("ab" for _ in range(length))
    assert ours(text) == theirs(text)
    assert len(ours(text)) <= MAX_TOKENS


@pytest.mark.e2e
def test_the_default_embedders_tokens_are_the_librarys() -> None:
    folder = embedder_folder()
    ours, theirs = pair(folder, folder / CONVERSION_FILE, WINDOW)
    chosen = random.Random(5)
    letters = list(filter(agreed, map(chr, range(0x20, 0x2FFF))))
    sources = [path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    texts = [source[at : at + 1500] for source in sources for at in range(0, len(source), 1500)]
    texts += ["".join(chosen.choices(letters, k=40)) for _ in range(300)]
    for text in texts:
        assert ours(text) == theirs(text), text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello,  World!", ["hello", ",", "world", "!"]),
        ("naïve\u00a0ÉCOLE", ["naive", "ecole"]),
        ("a\u200bb\0c\u00add", ["abcd"]),
        ("中文x", ["中", "文", "x"]),
        ("snake_case", ["snake", "_", "case"]),
        (" \t\r\n", []),
    ],
)
def test_words_are_small_plain_and_apart(text: str, words: list[str]) -> None:
    assert bert_words.words(text) == words


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("plain words", True),
        ("Ein Bär fährt über die Straße", True),
        ("Привет, мир", True),
        ("pizza 🍕🍕", True),
        ("🍕🍕", False),
        (f"a link to {'x' * 150}", True),
        (f"a link to https://example.org/{'x/' * 60}", True),
        (f"{'x' * 150} {'y' * 150}", False),
        ("The word 报销 means reimbursement", True),
        ("公司的差旅报销流程是什么", False),
        ("การเบิกค่าใช้จ่าย", False),
        ("lone \ud800 surrogate", True),
        ("", True),
    ],
)
def test_a_text_of_unknown_tokens_is_told_from_others(text: str, known: bool) -> None:
    folder = embedder_folder()
    embedder = wire.Embedder(
        name="t", id="", dim=384, max_tokens=WINDOW, gguf=str(folder / CONVERSION_FILE), bert_words=True
    )  # fmt: skip
    encoder = LlamaEncoder(embedder, at_once=1, lean=True)
    assert encoder.tokeniser.knows(text) is known
    assert bool(encoder.embed([text]).any()) is known
    encoder.close()
