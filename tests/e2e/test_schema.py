"""Structured output from end to end: what a real model says meets the schema, or the command says that it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from tests.e2e.home import Home, starter_home

pytestmark = pytest.mark.e2e

SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["recipe", "story"]},
        "rating": {"type": "number", "minimum": 0, "maximum": 5},
        "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "maxItems": 2},
    },
    "required": ["kind", "rating", "steps"],
    "$defs": {
        "step": {
            "type": "object",
            "properties": {
                "n": {"type": "integer", "minimum": 1, "maximum": 20}, "do": {"type": "string", "maxLength": 30},
            },
            "required": ["n", "do"],
        }
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def chat() -> Iterator[Home]:
    """One installation whose model stays loaded."""
    yield from starter_home()


@pytest.mark.parametrize("seed", range(3))
def test_the_answer_is_json_that_meets_the_schema(chat: Home, seed: int) -> None:
    text = chat.ask(
        "run", "--system", "Be brief.", "--schema", json.dumps(SCHEMA), "-o", "temperature=0.8", "-o", f"seed={seed}",
        "A recipe for pancakes.",
    )  # fmt: skip
    Draft202012Validator(SCHEMA).validate(json.loads(text))


def test_an_answer_that_is_cut_is_exit_6_and_nothing_on_stdout(chat: Home) -> None:
    done = chat.run("run", "--system", "Be brief.", "--schema", "name, age int", "-o", "max_tokens=3", "Anna is 34.")
    assert (done.status, done.out) == (6, "")
    assert done.err.startswith("agentgw: the answer does not meet the schema: the answer was cut")
    (turn, *_) = chat.call("turn.list")["turns"]
    assert turn["state"] == "failed"
    assert chat.call("turn.show", turn_id=turn["turn_id"])["text"].startswith("{")


def test_a_schema_that_cannot_be_kept_is_exit_2_and_names_the_path(chat: Home) -> None:
    schema = {"properties": {"age": {"type": "integer", "minimum": 9, "maximum": 3}}}
    done = chat.run("run", "--schema", json.dumps(schema), "Hi")
    assert (done.status, done.out) == (2, "")
    assert "#/properties/age/minimum: there is no integer between the bounds" in done.err


def test_words_that_are_no_json_are_exit_6(chat: Home) -> None:
    done = chat.run("run", "-m", "echo", "--schema", "name", "hello")
    assert (done.status, done.out) == (6, "")
    assert "it is no JSON" in done.err
