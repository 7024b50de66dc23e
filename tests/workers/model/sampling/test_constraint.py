"""A grammar in a real worker, with a model that wants to say something else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentgw_daemon.inference.structured_output.compiler import grammar_of
from agentgw_daemon.workers.protocol import model as wire
from tests.workers.llama.tinygguf import chain_model
from tests.workers.model.live import LiveWorker, ask


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorker]:
    path = chain_model(tmp_path_factory.mktemp("models") / "chain.gguf", ["Hello", " there", "!"])
    with LiveWorker() as made:
        made.load(path)
        yield made


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_only_what_continues_the_grammar_is_said_and_then_the_answer_ends(
    worker: LiveWorker, temperature: float
) -> None:
    text, done = worker.answer(ask(1, grammar=grammar_of({"const": ["Hallo", 1]}), temperature=temperature))
    assert (text, done.finish_reason) == ('["Hallo",1]', "stop")


def test_what_the_model_wants_to_say_anyway_is_said(worker: LiveWorker) -> None:
    text, done = worker.answer(ask(2, grammar='root ::= "Hello there" ("!" | "?")', temperature=0.0))
    assert (text, done.finish_reason, done.completion_tokens) == ("Hello there!", "stop", 3)


def test_stop_strings_do_not_cut_a_constrained_answer(worker: LiveWorker) -> None:
    text, done = worker.answer(ask(3, grammar=grammar_of({"const": "a,b"}), stop=(",", '"')))
    assert (text, done.finish_reason) == ('"a,b"', "stop")


def test_max_tokens_cuts_it(worker: LiveWorker) -> None:
    text, done = worker.answer(ask(4, grammar=grammar_of({"const": "abcdef"}), max_tokens=3))
    assert (text, done.finish_reason) == ('"ab', "length")


@pytest.mark.parametrize("grammar", ["root ::= (", "other ::= [a]", 'root ::= root "a"', "root ::= missing"])
def test_a_grammar_that_llama_cpp_refuses_fails_the_request_and_not_the_worker(
    worker: LiveWorker, grammar: str
) -> None:
    worker.send(ask(5, grammar=grammar))
    *_, failed = worker.until_end()
    assert isinstance(failed, wire.GenerationFailed)
    assert (failed.kind, failed.message.split(":")[0]) == ("engine", "llama.cpp cannot use the grammar")
    assert worker.answer(ask(6))[0] == "Hello there!"


def test_a_grammar_that_no_token_continues_fails_the_request(worker: LiveWorker) -> None:
    # Beyond Unicode: only bytes that are no part of UTF-8 begin it.
    worker.send(ask(7, grammar='root ::= "a" [\\U001F0000]'))
    *_, failed = worker.until_end()
    assert isinstance(failed, wire.GenerationFailed)
    assert worker.answer(ask(8))[0] == "Hello there!"
