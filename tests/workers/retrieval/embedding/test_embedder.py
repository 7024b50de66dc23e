"""The default embedder in the real worker: the GGUF conversion gives the vectors that sentence-transformers gives."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
import trio

from agentgw.protocol.errors import ModelUnavailable
from agentgw_daemon.models.embedders import Embedders
from agentgw_daemon.retrieval.pool import Resolve
from agentgw_daemon.retrieval.role_queue import RoleQueue
from agentgw_daemon.retrieval.spec import RetrievalSettings
from agentgw_daemon.system.child_environment import worker_environment
from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.embedding.encoders import TORCH_AFTER_TEXTS
from tests.patience import PATIENCE_S
from tests.starter import embedder_folder
from tests.workers.retrieval.embedding.tinybert import (
    MARKS,
    MIN_COSINE,
    POSITIONS,
    WIDTH,
    make_folder,
    make_xlm_roberta,
    tensors,
    write_safetensors,
)
from tests.workers.retrieval.live import running

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

TEXTS = [
    "how do I find a page by its description",
    "The quick brown fox jumps over the lazy dog.",
    "",
    " \n\t ",
    "a",
    "def median(values: list[float]) -> float:\n    ordered = sorted(values)\n    return ordered[len(ordered) // 2]\n",
    "SELECT name, count(*) FROM people GROUP BY 1 HAVING count(*) > 3; -- the many",
    "Ein Bär fährt über die Straße; naïve café, ÀÉÎ, e\u0301cole.",
    "日本語のテキストと中文文本，還有한국어 텍스트도",
    "Привет, мир! Ελληνικά ΣΊΣΥΦΟΣ, עברית, العربية, हिन्दी, ไทย",
    "🙂 party 🎉🎉 time 👩‍👩‍👧",
    "zero\0width\u200bspace\ufffdand\u00adsoft\u2028line",
    "[SEP] marks [CLS] in a text [MASK]",
    "lone \ud800 surrogate",
    "x" * 100 + " " + "y" * 101,
    "A word of its own: " + "0123456789abcdef" * 64,
    "https://example.org/a/very/long/path?with=parameters&and=more#fragment",
    "word " * 254 + "cut cut cut cut",
    "The window ends somewhere in the middle of this. " * 60,
    "ls - list directory contents\n\nSYNOPSIS\n  ls [OPTION]... [FILE]...",
    "1. first\n2. second\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    "– — ‘quotes’ “double” … ½ ① Ⅷ ﬁ ™ € ±",
]
# One word that the embedder does not know: the original has one vector for all of these.
UNKNOWN = "0123456789abcdef" * 64
# Answers a request a line, each for a folder of its own, so that torch is imported once: it takes ten seconds.
LIBRARY = """
import json, os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from sentence_transformers import SentenceTransformer
torch.set_num_threads(1)
for line in sys.stdin:
    folder, method, texts, options = json.loads(line)
    encode = getattr(SentenceTransformer(folder, device="cpu"), method)
    print(json.dumps(encode(texts, normalize_embeddings=True, **options).tolist()), flush=True)
"""
ByTheLibrary: TypeAlias = Callable[..., list[list[float]]]


@pytest.fixture(scope="module")
def by_the_library() -> Iterator[ByTheLibrary]:
    """The vectors that a method of SentenceTransformer gives, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", LIBRARY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as library:
        assert library.stdin
        assert library.stdout
        to, of = library.stdin, library.stdout

        def ask(folder: Path, texts: Sequence[str], method: str, **options: str) -> list[list[float]]:
            to.write(json.dumps([str(folder), method, texts, options]) + "\n")
            to.flush()
            vectors: list[list[float]] = json.loads(of.readline())
            return vectors

        yield ask
        to.close()


@pytest.fixture(scope="module")
def reference(by_the_library: ByTheLibrary) -> list[list[float]]:
    """The vectors of the texts by sentence-transformers itself; a lone surrogate is a question mark."""
    return by_the_library(embedder_folder(), [text.encode("utf-8", "replace").decode() for text in TEXTS], "encode")


def resolver(**changes: str) -> Resolve:
    """The default embedder, with changes."""

    async def resolve() -> wire.Embedder:
        embedders = Embedders(embedder_folder().parent, dict(os.environ))
        found = await embedders.find("all-minilm-l6-v2", lambda _name: None, None)
        return wire.Embedder(
            name=found.name, id=found.id, dim=found.dim, max_tokens=found.max_tokens, pooling=found.pooling,
            bert_words=found.bert_words, folder=changes.get("folder", found.folder),
            gguf=changes.get("gguf", found.gguf),
        )  # fmt: skip

    return resolve


def cosines(vectors: tuple[bytes, ...], reference: list[list[float]]) -> list[float]:
    found = [struct.unpack(f"<{len(vector) // 4}f", vector) for vector in vectors]
    return [sum(x * y for x, y in zip(one, other, strict=True)) for one, other in zip(found, reference, strict=True)]


async def test_the_twin_gives_the_vectors_of_the_original(reference: list[list[float]]) -> None:
    async with running(RetrievalSettings(), resolver()) as retrieval:
        queries = [await retrieval.embed([text], purpose="query") for text in TEXTS]
        bulk = await retrieval.embed(TEXTS, purpose="bulk")
        nothing = await retrieval.embed([UNKNOWN], purpose="query")
        engine = {worker.detail: worker for worker in retrieval.workers()}
    for found in (tuple(one[0] for one in queries), bulk):
        assert min(cosines(found, reference)) >= MIN_COSINE
        assert all(abs(math.dist(struct.unpack("<384f", one), [0] * 384) - 1) < 1e-4 for one in found)
    assert nothing[0] == bytes(len(bulk[0]))
    assert engine.keys() == {"search", "bulk"}


async def test_torch_gives_the_vectors_of_the_original_for_both_purposes(reference: list[list[float]]) -> None:
    async with running(RetrievalSettings(), resolver(gguf="")) as retrieval:
        for purpose in ("query", "bulk"):
            found = await retrieval.embed(TEXTS[:16], purpose=purpose)  # type: ignore[arg-type]
            assert min(cosines(found, reference[:16])) >= 0.99999
            [nothing] = await retrieval.embed([UNKNOWN], purpose=purpose)  # type: ignore[arg-type]
            assert nothing == bytes(len(found[0]))


async def test_many_texts_begin_at_once_and_go_over_to_torch_with_the_same_vectors() -> None:
    texts = tuple(f"text {number} of many" for number in range(64))
    embedder = await resolver()()
    engines: dict[str, bytes] = {}
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            role_queue = RoleQueue("bulk", RetrievalSettings(), nursery, worker_environment(os.environ, "test"))
            asked = 0
            while "torch" not in engines:
                reply = await role_queue.ask(wire.Embed(embedder=embedder, texts=texts, more=64), timeout_s=PATIENCE_S)
                assert isinstance(reply, wire.Embedded)
                engines[reply.engine] = reply.vectors
                asked += len(texts)
            nursery.cancel_scope.cancel()
    assert asked > TORCH_AFTER_TEXTS - 64
    small, large = (list(struct.iter_unpack("<384f", engines[name])) for name in ("llama.cpp", "torch"))
    assert min(sum(x * y for x, y in zip(a, b, strict=True)) for a, b in zip(small, large, strict=True)) >= MIN_COSINE


def torch_is_out(pid: int) -> bool:
    """Tells whether the process has not loaded torch yet."""
    return "libtorch" not in Path(f"/proc/{pid}/maps").read_text()


async def test_the_worker_that_answers_queries_stays_small_and_never_loads_torch() -> None:
    async with running(RetrievalSettings(), resolver()) as retrieval:
        for text in (*TEXTS[:9], TEXTS[-4], *TEXTS[:2]):
            await retrieval.embed([text], purpose="query")
        [worker] = retrieval.workers()
        assert torch_is_out(worker.pid)
        # Beside the 180 MB of an index of 100,000 chunks; 250 MB are promised for both.
        assert worker.rss_bytes < 74e6


async def test_a_file_that_is_no_model_is_no_embedder(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + bytes(100))
    async with running(RetrievalSettings(), resolver(gguf=str(bad))) as retrieval:
        with pytest.raises(ModelUnavailable, match="all-minilm-l6-v2 cannot be used"):
            await retrieval.embed(["x"], purpose="query")
        [worker] = retrieval.workers()
        assert worker.pid


async def test_a_multilingual_folder_embeds_texts_longer_than_its_window(tmp_path: Path) -> None:
    folder = make_xlm_roberta(tmp_path / "many", "abcdefghij абвгдежз 报销流程猫餌のを")
    embedders = Embedders(tmp_path / "models", worker_environment(os.environ, "test"))

    async def resolve() -> wire.Embedder:
        return await embedders.find(str(folder), lambda name: None, None)

    embedder = await resolve()
    assert (embedder.dim, embedder.max_tokens, embedder.gguf) == (WIDTH, POSITIONS - 2, "")
    texts = ["абв где " * 40, "报销流程" * 40, "abc", "абв", "猫の餌", "Ψ " * 40]
    async with running(RetrievalSettings(), resolve) as retrieval:
        rows = [struct.unpack(f"{WIDTH}f", row) for row in await retrieval.embed(texts, purpose="bulk")]
    lengths = [math.sqrt(sum(value * value for value in row)) for row in rows]
    assert lengths[:5] == pytest.approx([1.0] * 5, abs=1e-3)
    assert lengths[5] == 0, "it knows none of these letters"
    assert len({tuple(round(value, 3) for value in row) for row in rows}) == len(texts)


PROMPTS = {"query": "find dabei: ", "document": "abc | ", "passage": "never: ", "all": "never so: "}
LETTERS = "abcdefghijklmnop :|"
# The last ones are longer than the window.
SMALL_TEXTS = ["abc", "bad cab", "", "a face", "head " * 40, "feed\n" * 12 + "dead"]


def telling(folder: Path) -> Path:
    """The folder with norms that leave texts apart: those of chance make all vectors alike."""
    made = tensors(0)
    for name, array in made.items():
        if "LayerNorm" in name:
            array[:] = float(name.endswith("weight"))
    write_safetensors(folder / "model.safetensors", made)
    return folder


def bert(folder: Path) -> Path:
    made = make_folder(folder)
    written = json.loads((made / "tokenizer.json").read_text())
    written["post_processor"] = {
        "type": "BertProcessing", "sep": ["[SEP]", MARKS.index("[SEP]")], "cls": ["[CLS]", MARKS.index("[CLS]")],
    }  # fmt: skip
    (made / "tokenizer.json").write_text(json.dumps(written))
    (made / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": POSITIONS}))
    return telling(made)


def xlm_roberta(folder: Path) -> Path:
    made = make_xlm_roberta(folder, LETTERS)
    # The library would not find out by itself.
    (made / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": POSITIONS - 2}))
    return telling(made)


def xlm_roberta_that_pools_no_prompt(folder: Path) -> Path:
    made = xlm_roberta(folder)
    pooling = made / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "include_prompt": False}))
    return made


@pytest.mark.parametrize("make", [bert, xlm_roberta, xlm_roberta_that_pools_no_prompt])
async def test_a_folders_prompts_give_the_vectors_of_the_library_for_both_kinds(
    tmp_path: Path, make: Callable[[Path], Path], by_the_library: ByTheLibrary
) -> None:
    folder = make(tmp_path / "model")
    said = {"prompts": PROMPTS, "default_prompt_name": "all"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))
    embedders = Embedders(tmp_path / "models", worker_environment(os.environ, "test"))
    found = await embedders.find(str(folder), lambda name: None, None)
    assert bool(found.gguf) == (make is bert)
    ways = [found] if make is not bert else [found, dataclasses.replace(found, gguf="")]
    bare = by_the_library(folder, SMALL_TEXTS, "encode", prompt="")
    async with running(RetrievalSettings()) as retrieval:
        for embedder in ways:
            for kind in ("query", "document"):
                reference = by_the_library(folder, SMALL_TEXTS, f"encode_{kind}")
                for purpose in ("query", "bulk"):
                    rows = await retrieval.embed(SMALL_TEXTS, purpose=purpose, embedder=embedder, kind=kind)  # type: ignore[arg-type]
                    assert min(cosines(rows, reference)) >= MIN_COSINE
                    assert max(cosines(rows, bare)) < MIN_COSINE


async def test_a_passage_prompt_is_the_documents_where_there_is_no_document_prompt(
    tmp_path: Path, by_the_library: ByTheLibrary
) -> None:
    folder = xlm_roberta(tmp_path / "model")
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"passage": "abc: "}}))
    embedders = Embedders(tmp_path / "models", worker_environment(os.environ, "test"))
    found = await embedders.find(str(folder), lambda name: None, None)
    async with running(RetrievalSettings()) as retrieval:
        rows = await retrieval.embed(SMALL_TEXTS, purpose="bulk", embedder=found)
    assert min(cosines(rows, by_the_library(folder, SMALL_TEXTS, "encode", prompt_name="passage"))) >= MIN_COSINE


async def test_whether_a_text_is_known_does_not_depend_on_the_prompt(tmp_path: Path) -> None:
    folder = bert(tmp_path / "model")
    embedders = Embedders(tmp_path / "models", worker_environment(os.environ, "test"))
    found = await embedders.find(str(folder), lambda name: None, None)
    for gguf in (found.gguf, ""):
        embedder = dataclasses.replace(found, gguf=gguf, query_prompt="a prompt of letters that it knows ")
        async with running(RetrievalSettings()) as retrieval:
            [known, nothing] = await retrieval.embed(["abc", "Ψ Ω"], purpose="query", embedder=embedder)
        assert any(known)
        assert not any(nothing)
