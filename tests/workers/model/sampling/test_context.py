from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw_daemon.workers.llama import llama
from agentgw_daemon.workers.model.sampling.context import Batch, Context, Sampler
from tests.workers.llama.loaded import model as model
from tests.workers.llama.tinygguf import SCRIPT, chain_model


@pytest.fixture
def context(model: llama.LlamaModel) -> Iterator[Context]:
    made = Context(model, n_cells=256, n_batch_tokens=32, threads=(1, 1))
    yield made
    made.close()


@pytest.fixture
def batch() -> Iterator[Batch]:
    made = Batch(32)
    yield made
    made.close()


def fill(batch: Batch, tokens: list[int], start: int = 0) -> None:
    batch.clear()
    for at, token in enumerate(tokens):
        batch.add(token, start + at, 0, wanted=at == len(tokens) - 1)


def greedy(model: llama.LlamaModel) -> Sampler:
    return Sampler(model, temperature=0, top_k=0, top_p=1, min_p=0, repeat_penalty=1, seed=1)


def test_the_answer_of_the_chain_token_by_token(model: llama.LlamaModel, context: Context, batch: Batch) -> None:
    tokens, sampler, pieces = model.tokenise(["q\n"]), greedy(model), []
    at = 0
    while (piece := _next(model, context, batch, sampler, tokens, at)) is not None:
        at += len(tokens)
        pieces.append(piece[1])
        tokens = [piece[0]]
    sampler.close()
    assert pieces == [b"He", b"\xc3", b"\xb6", b" y"]


def _next(
    model: llama.LlamaModel, context: Context, batch: Batch, sampler: Sampler, tokens: list[int], at: int
) -> tuple[int, bytes] | None:
    fill(batch, tokens, at)
    assert context.decode(batch)
    token = sampler.sample(context, len(tokens) - 1)
    piece = model.piece(token)
    return None if piece is None else (token, piece)


def test_an_abort_stops_a_batch_and_leaves_a_sequence_that_can_go_on(
    model: llama.LlamaModel, context: Context, batch: Batch, capfd: pytest.CaptureFixture[str]
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


def test_keep_cuts_and_zero_clears(model: llama.LlamaModel, context: Context, batch: Batch) -> None:
    fill(batch, model.tokenise(["0123456789"]))
    assert context.decode(batch)
    assert context.keep(0, 4) == 4
    assert context.keep(0, 0) == 0
    assert context.keep(0, 4) == 0, "nothing is there any more"


def test_a_batch_that_does_not_fit_is_an_error(model: llama.LlamaModel, context: Context, batch: Batch) -> None:
    fill(batch, model.tokenise(["01"]), start=200)
    assert context.decode(batch)
    fill(batch, [10**6], start=202)
    with pytest.raises(llama.EngineError, match="could not decode"):
        context.decode(batch)


def test_temperature_zero_takes_the_likeliest_and_a_seed_draws_the_same_again(tmp_path: Path) -> None:
    flat = llama.LlamaModel(str(chain_model(tmp_path / "flat.gguf", SCRIPT, sharpness=0.2)))
    context = Context(flat, n_cells=256, n_batch_tokens=32, threads=(1, 1))
    batch = Batch(32)
    fill(batch, flat.tokenise(["q\n"]))
    assert context.decode(batch)

    def draw(seed: int, temperature: float = 1.0) -> list[int]:
        sampler = Sampler(flat, temperature=temperature, top_k=0, top_p=1, min_p=0, repeat_penalty=1.1, seed=seed)
        sampler.read([1, 2, 3])
        drawn = []
        for _ in range(8):
            # The penalty works on the logits in place: each batch is drawn from once.
            context.keep(0, 0)
            assert context.decode(batch)
            drawn.append(sampler.sample(context, 1))
        sampler.close()
        return drawn

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert draw(-1) == draw(0xFFFFFFFF) == draw(-1), "llama.cpp's own 'any seed' is a seed like others"
    assert flat.piece(draw(5, temperature=0)[0]) == b"He"
    batch.close()
    context.close()
    flat.close()


@pytest.mark.parametrize(("threads", "fewer"), [((3, 2), (2, 1)), ((1, 1), (1, 1)), ((2, 1), (1, 1))])
def test_a_core_is_left_and_taken_again(
    model: llama.LlamaModel, threads: tuple[int, int], fewer: tuple[int, int]
) -> None:
    context = Context(model, n_cells=256, n_batch_tokens=32, threads=threads)
    seen = []
    for leaves in (True, True, False):
        context.leave_core(leaves)
        seen.append((llama.api.llama_n_threads(context.handle), llama.api.llama_n_threads_batch(context.handle)))
    context.close()
    assert seen == [fewer, fewer, threads]
