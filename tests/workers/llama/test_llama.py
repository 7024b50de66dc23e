from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.llama import llama
from tests.workers.llama.loaded import model as model
from tests.workers.llama.tinygguf import END, SCRIPT, START, STRING, chain_model


def test_control_tokens_are_read_within_a_fragment_and_never_across_two(model: llama.LlamaModel) -> None:
    assert len(model.tokenise([START + "a" + END])) == 3
    assert len(model.tokenise(["<", START[1:] + "a" + END])) == len(START) + 2
    assert model.control_texts() == {START, END}


def test_pieces_of_control_tokens_are_empty_and_the_end_is_none(model: llama.LlamaModel) -> None:
    start, end = model.tokenise([START, END])
    assert model.piece(start) == b""
    assert model.piece(end) is None
    assert model.special_text("eos") == END


def test_control_tokens_that_do_not_end_the_answer_are_text_where_that_is_wanted(model: llama.LlamaModel) -> None:
    start, end = model.tokenise([START, END])
    assert model.piece(start, special=True) == START.encode()
    assert model.piece(end, special=True) is None
    assert model.piece(start) == b""


def test_any_text_goes_through_the_tokeniser_and_back(model: llama.LlamaModel) -> None:
    text = "nul \0, é, 🙂, \ud800 and more"
    pieces = [model.piece(token) or b"" for token in model.tokenise([text])]
    assert b"".join(pieces) == text.encode("utf-8", "replace")


@pytest.mark.parametrize(("text", "tokens"), [("a", 2), (START + "a", 2), ("", 1)])
def test_one_bos_is_added_where_the_vocabulary_asks_and_none_is_doubled(text: str, tokens: int, tmp_path: Path) -> None:
    made = llama.LlamaModel(str(chain_model(tmp_path / "bos.gguf", SCRIPT, add_bos=True)))
    assert len(made.tokenise([text])) == tokens
    made.close()


def test_a_file_that_llama_cpp_refuses_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = chain_model(tmp_path / "other.gguf", SCRIPT, metadata={"general.architecture": (STRING, "nonesuch")})
    with pytest.raises(llama.EngineError, match="unknown model architecture: 'nonesuch'"):
        llama.LlamaModel(str(path))
    assert "nonesuch" in capfd.readouterr().err


def test_cores_are_counted_among_the_usable_ones() -> None:
    assert 1 <= llama.physical_cores() <= len(llama.usable_cpus())


def test_the_version_is_that_of_the_installed_bindings() -> None:
    assert llama.version().startswith("llama-cpp-python 0.")
