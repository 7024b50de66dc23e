"""Facts about an embedder, and the GGUF conversion that is made of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentgw_daemon.workers.llama import gguf
from agentgw_daemon.workers.retrieval.embedding.embedder_info import EmbedderInfo, NotAnEmbedder, of_file, of_folder
from tests.workers.retrieval.embedding.tinybert import LAYERS, MAX_TOKENS, POSITIONS, WIDTH, make_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "model")


def change(folder: Path, name: str, **values: Any) -> None:
    path = folder / name
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **values}))


def info(folder: Path) -> EmbedderInfo:
    return of_folder(folder, folder.parent / "conversion.gguf")


def test_a_bert_has_a_twin_that_llama_cpp_may_be_shown(folder: Path) -> None:
    found = info(folder)
    assert (found.has_conversion, found.no_conversion, found.architecture) == (True, "", "bert")
    assert (found.dim, found.max_tokens, found.pooling) == (WIDTH, MAX_TOKENS, "mean")
    header = gguf.inspect(folder.parent / "conversion.gguf")
    assert header.architecture == "bert"
    assert header.n_ctx_train_tokens == MAX_TOKENS
    assert header.metadata["bert.block_count"] == LAYERS
    assert header.metadata["bert.pooling_type"] == 1


def test_the_twin_of_a_pull_is_the_card_of_a_file_too(folder: Path) -> None:
    info(folder)
    found = of_file(folder.parent / "conversion.gguf")
    assert (found.dim, found.pooling, found.max_tokens) == (WIDTH, "mean", MAX_TOKENS)


@pytest.mark.parametrize(
    ("model_type", "said", "window"),
    [
        # The number of the padding is 1: two of the places come before the first token's.
        ("xlm-roberta", {"max_position_embeddings": 130, "pad_token_id": 1}, 128),
        ("mpnet", {"max_position_embeddings": 514}, 512),
        ("roberta", {"max_position_embeddings": 60, "pad_token_id": 0}, 59),
        ("bert", {"max_position_embeddings": 130, "pad_token_id": 0}, 130),
    ],
)  # fmt: skip
def test_the_window_is_as_many_tokens_as_the_model_has_places_for(
    folder: Path, model_type: str, said: dict[str, Any], window: int
) -> None:
    (folder / "sentence_bert_config.json").unlink()
    change(folder, "config.json", model_type=model_type, **said)
    assert info(folder).max_tokens == window


def test_the_window_is_the_tokenisers_where_the_folder_says_none(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 9}')
    assert info(folder).max_tokens == MAX_TOKENS
    change(folder, "sentence_bert_config.json", max_seq_length=None)
    assert info(folder).max_tokens == 9
    # The library's word for no limit.
    change(folder, "tokenizer_config.json", model_max_length=10**30)
    assert info(folder).max_tokens == POSITIONS


def test_the_identity_follows_whatever_changes_the_vectors(tmp_path: Path) -> None:
    made = {info(make_folder(tmp_path / "a")).id}
    assert info(make_folder(tmp_path / "same")).id in made
    made.add(info(make_folder(tmp_path / "other", seed=1)).id)
    shorter = make_folder(tmp_path / "shorter")
    change(shorter, "sentence_bert_config.json", max_seq_length=8)
    made.add(info(shorter).id)
    pooled = make_folder(tmp_path / "pooled")
    change(pooled, "1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    made.add(info(pooled).id)
    assert len(made) == 4


@pytest.mark.parametrize(
    ("file", "values", "reason"),
    [
        ("config.json", {"model_type": "mpnet"}, "its architecture is not BERT"),
        ("config.json", {"hidden_act": "relu"}, "its activation"),
        ("config.json", {"position_embedding_type": "relative_key"}, "its positions"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "its pooling"),
        ("tokenizer.json", {"normalizer": None}, "its tokens"),
        ("tokenizer.json", {"added_tokens": [{"content": "<x>"}]}, "its tokens"),
        ("config.json", {"num_hidden_layers": 3}, "its weights do not fit"),
    ],
)
def test_what_llama_cpp_would_compute_differently_has_no_twin(
    folder: Path, file: str, values: dict[str, Any], reason: str
) -> None:
    change(folder, file, **values)
    found = info(folder)
    assert not found.has_conversion
    assert found.no_conversion.startswith(reason)


def say(folder: Path, **said: Any) -> Path:
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize(
    ("prompts", "query", "document"),
    [
        ({"query": "q: ", "document": "d: ", "passage": "p: "}, "q: ", "d: "),
        ({"corpus": "c: ", "passage": "p: "}, "", "p: "),
        ({"corpus": "c: ", "s2p_query": "s: "}, "", "c: "),
        ({"query": "q: ", "document": "", "passage": "p: "}, "q: ", ""),
        ({"query": None, "document": None, "passage": "p: "}, "", "p: "),
        ({"query": "q\ud800"}, "q?", ""),
        ({"query": "x" * 512, "other": 5}, "x" * 512, ""),
        ({}, "", ""),
        (None, "", ""),
    ],
)
def test_the_prompts_are_those_that_the_library_would_look_for(
    folder: Path, prompts: Any, query: str, document: str
) -> None:
    bare = info(folder).id
    found = info(say(folder, prompts=prompts))
    assert (found.query_prompt, found.document_prompt) == (query, document)
    assert found.has_conversion
    assert found.id == bare, "it is that of the embedder without its prompts"


@pytest.mark.parametrize(
    ("prompts", "reason"),
    [
        ({"query": 5}, "has a query prompt that is no text"),
        ({"passage": ["p: "]}, "has a passage prompt that is no text"),
        ({"document": "x" * 513}, "has a document prompt of more than 512 characters"),
        (["q: "], "has prompts that are no object"),
        ("q: ", "has prompts that are no object"),
    ],
)
def test_prompts_that_are_none_are_refused(folder: Path, prompts: Any, reason: str) -> None:
    with pytest.raises(NotAnEmbedder, match=reason):
        info(say(folder, prompts=prompts))


def test_a_default_prompt_is_not_used_and_vectors_that_were_made_with_it_are_others(folder: Path) -> None:
    bare, prompts = info(folder).id, {"all": "a: ", "none": ""}
    found = info(say(folder, prompts=prompts, default_prompt_name="all"))
    assert (found.query_prompt, found.document_prompt, found.has_conversion) == ("", "", True)
    assert found.id != bare
    for name in ("none", "missing", None, 5):
        assert info(say(folder, prompts=prompts, default_prompt_name=name)).id == bare


def test_a_pooling_that_leaves_prompts_out_has_no_twin(folder: Path) -> None:
    bare = info(folder).id
    change(folder, "1_Pooling/config.json", include_prompt=False)
    found = info(folder)
    assert (found.no_conversion, found.id) == ("its pooling leaves the prompt out", bare)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "modules.json").write_text("{"), "no JSON"),
        (lambda folder: (folder / "modules.json").write_text("{}"), "no list"),
        (lambda folder: (folder / "modules.json").write_text("[]"), "no pooling layer"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights in safetensors"),
        (lambda folder: change(folder, "config.json", hidden_size="many"), "does not say its hidden_size"),
        (
            lambda folder: (folder / "modules.json").write_text('[{"type": "os.system", "path": ""}]'),
            "wants the code os.system",
        ),
        (
            lambda folder: (folder / "modules.json").write_text(
                '[{"type": "sentence_transformers.models.Pooling", "path": "../../etc"}]'
            ),
            "outside of its folder",
        ),
    ],
)
def test_what_is_no_embedder_says_why(folder: Path, spoil: Any, reason: str) -> None:
    spoil(folder)
    with pytest.raises(NotAnEmbedder, match=reason):
        info(folder)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 8, b"\x02" + bytes(7), b"\x02" + bytes(7) + b"[]", b"\x10" + bytes(7) + b'{"a": {"x": 1}}'],
    ids=["empty", "huge header", "cut", "list", "no tensor"],
)
def test_damaged_weights_have_no_twin_and_break_nothing(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)
    found = info(folder)
    assert not found.has_conversion
    assert "its weights do not fit" in found.no_conversion


def test_a_file_that_is_no_gguf_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(NotAnEmbedder, match="version"):
        of_file(tmp_path / "bad.gguf")


def test_the_program_prints_one_object(folder: Path) -> None:
    command = [sys.executable, "-P", "-m", "agentgw_daemon.workers.retrieval.embedding.embedder_info"]
    done = subprocess.run([*command, folder, folder.parent / "conversion.gguf"], capture_output=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["ok"] is True
    done = subprocess.run([*command, folder / "absent", folder.parent / "x"], capture_output=True)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"ok": False, "reason": "cannot be read: no such file or directory"}
