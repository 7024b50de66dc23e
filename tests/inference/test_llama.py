from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw_daemon.inference import llama
from tests.inference.tinygguf import END, START, STRING, chain_model

SCRIPT: list[bytes | str] = ["He", b"\xc3", b"\xb6", " y"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[llama.Model]:
    made = llama.Model(str(chain_model(tmp_path_factory.mktemp("models") / "chain.gguf", SCRIPT)))
    yield made
    made.close()


@pytest.fixture
def context(model: llama.Model) -> Iterator[llama.Context]:
    made = llama.Context(model, n_ctx_tokens=256, n_batch_tokens=32, threads=(1, 1))
    yield made
    made.close()


@pytest.fixture
def batch() -> Iterator[llama.Batch]:
    made = llama.Batch(32)
    yield made
    made.close()


def fill(batch: llama.Batch, tokens: list[int], start: int = 0) -> None:
    batch.clear()
    for at, token in enumerate(tokens):
        batch.add(token, start + at, 0, wanted=at == len(tokens) - 1)


def greedy(model: llama.Model) -> llama.Sampler:
    return llama.Sampler(model, temperature=0, top_k=0, top_p=1, min_p=0, repeat_penalty=1, seed=1)


def test_the_answer_of_the_chain_token_by_token(model: llama.Model, context: llama.Context, batch: llama.Batch) -> None:
    tokens, sampler, pieces = model.tokenise(["q\n"]), greedy(model), []
    at = 0
    while (piece := _next(model, context, batch, sampler, tokens, at)) is not None:
        at += len(tokens)
        pieces.append(piece[1])
        tokens = [piece[0]]
    sampler.close()
    assert pieces == [b"He", b"\xc3", b"\xb6", b" y"]


def _next(
    model: llama.Model, context: llama.Context, batch: llama.Batch, sampler: llama.Sampler, tokens: list[int], at: int
) -> tuple[int, bytes] | None:
    fill(batch, tokens, at)
    assert context.decode(batch)
    token = sampler.sample(context, len(tokens) - 1)
    piece = model.piece(token)
    return None if piece is None else (token, piece)


def test_an_abort_stops_a_batch_and_leaves_a_sequence_that_can_go_on(
    model: llama.Model, context: llama.Context, batch: llama.Batch, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(batch, model.tokenise(["0123456789"]))
    assert context.decode(batch)
    fill(batch, model.tokenise(["abcdefgh\n"]), 10)
    context.abort.set()
    assert not context.decode(batch)
    context.abort.clear()
    assert context.keep(0, 10) == 10
    assert context.decode(batch)
    sampler = greedy(model)
    assert model.piece(sampler.sample(context, 8)) == b"He"
    sampler.close()
    assert capfd.readouterr().err == "", "an abort is no error to log"


def test_keep_cuts_and_zero_clears(model: llama.Model, context: llama.Context, batch: llama.Batch) -> None:
    fill(batch, model.tokenise(["0123456789"]))
    assert context.decode(batch)
    assert context.keep(0, 4) == 4
    assert context.keep(0, 0) == 0
    assert context.keep(0, 4) == 0, "nothing is there any more"


def test_a_batch_that_does_not_fit_is_an_error(model: llama.Model, context: llama.Context, batch: llama.Batch) -> None:
    fill(batch, model.tokenise(["01"]), start=200)
    assert context.decode(batch)
    fill(batch, [10**6], start=202)
    with pytest.raises(llama.EngineError, match="could not decode"):
        context.decode(batch)


def test_control_tokens_are_read_within_a_fragment_and_never_across_two(model: llama.Model) -> None:
    assert len(model.tokenise([START + "a" + END])) == 3
    assert len(model.tokenise(["<", START[1:] + "a" + END])) == len(START) + 2
    assert model.control_texts() == {START, END}


def test_pieces_of_control_tokens_are_empty_and_the_end_is_none(model: llama.Model) -> None:
    start, end = model.tokenise([START, END])
    assert model.piece(start) == b""
    assert model.piece(end) is None
    assert model.special_text("eos") == END


def test_any_text_goes_through_the_tokeniser_and_back(model: llama.Model) -> None:
    text = "nul \0, é, 🙂, \ud800 and more"
    pieces = [model.piece(token) or b"" for token in model.tokenise([text])]
    assert b"".join(pieces) == text.encode("utf-8", "replace")


@pytest.mark.parametrize(("text", "tokens"), [("a", 2), (START + "a", 2), ("", 1)])
def test_one_bos_is_added_where_the_vocabulary_asks_and_none_is_doubled(text: str, tokens: int, tmp_path: Path) -> None:
    made = llama.Model(str(chain_model(tmp_path / "bos.gguf", SCRIPT, add_bos=True)))
    assert len(made.tokenise([text])) == tokens
    made.close()


def test_temperature_zero_takes_the_likeliest_and_a_seed_draws_the_same_again(tmp_path: Path) -> None:
    flat = llama.Model(str(chain_model(tmp_path / "flat.gguf", SCRIPT, sharpness=0.2)))
    context = llama.Context(flat, n_ctx_tokens=256, n_batch_tokens=32, threads=(1, 1))
    batch = llama.Batch(32)
    fill(batch, flat.tokenise(["q\n"]))
    assert context.decode(batch)

    def draw(seed: int, temperature: float = 1.0) -> list[int]:
        sampler = llama.Sampler(flat, temperature=temperature, top_k=0, top_p=1, min_p=0, repeat_penalty=1.1, seed=seed)
        sampler.read([1, 2, 3])
        drawn = [sampler.sample(context, 1) for _ in range(8)]
        sampler.close()
        return drawn

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert draw(-1) == draw(0xFFFFFFFF) == draw(-1), "llama.cpp's own 'any seed' is a seed like others"
    assert flat.piece(draw(5, temperature=0)[0]) == b"He"
    batch.close()
    context.close()
    flat.close()


def test_a_file_that_llama_cpp_refuses_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = chain_model(tmp_path / "other.gguf", SCRIPT, metadata={"general.architecture": (STRING, "nonesuch")})
    with pytest.raises(llama.EngineError, match="unknown model architecture: 'nonesuch'"):
        llama.Model(str(path))
    assert "nonesuch" in capfd.readouterr().err


def test_cores_are_counted_among_the_usable_ones() -> None:
    assert 1 <= llama.physical_cores() <= len(llama.usable_cpus())


def test_the_version_is_that_of_the_installed_bindings() -> None:
    assert llama.version().startswith("llama-cpp-python 0.")
