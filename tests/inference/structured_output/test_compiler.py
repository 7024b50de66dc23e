"""Texts that a grammar lets through meet its schema: random walks with llama.cpp's own sampler."""

from __future__ import annotations

import ctypes
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentgw_daemon.inference.structured_output.compiler import MAX_DEPTH, grammar_of
from agentgw_daemon.inference.structured_output.schema_reader import SchemaError
from agentgw_daemon.workers.llama.llama import LlamaModel, api
from tests.workers.llama.tinygguf import chain_model

# Control tokens, which spell a text to llama.cpp that nobody reads, and bytes that begin no character: llama.cpp reads
# them all the same. Of those that do, two whose every continuation is a character.
UNSAID = {b"", *(bytes((byte,)) for byte in range(0xC0, 0x100) if byte not in (0xC3, 0xE4))}
NAMES = st.text('abcde"\\/é👋 _', min_size=1, max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)
PATTERNS = ("^[A-Z]{2}\\d+$", "^a|^b$", "^x{2,3}?y", "^(?:ab?|[^c-z]+)$", "^\\w+@\\w+\\.(com|org)$", '^q["\\\\]')


@st.composite
def strings(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"type": "string", "pattern": draw(st.sampled_from(PATTERNS))}
    least = draw(st.integers(0, 400))
    return {"type": "string", "minLength": least, "maxLength": least + draw(st.integers(0, 300))}


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Any]:
    whole = draw(st.booleans())
    bound = (
        st.integers(-2000, 2000) if whole else st.floats(-2000, 2000).map(lambda x: round(x, draw(st.integers(0, 4))))
    )
    low, high = sorted((draw(bound), draw(bound)))
    made: dict[str, Any] = {"type": "integer" if whole else "number"}
    if draw(st.booleans()):
        made[draw(st.sampled_from(("minimum", "exclusiveMinimum")))] = low
    if draw(st.booleans()):
        made[draw(st.sampled_from(("maximum", "exclusiveMaximum")))] = high + 2
    return made


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    @st.composite
    def objects(draw: st.DrawFn) -> dict[str, Any]:
        properties = draw(st.dictionaries(NAMES, inner, min_size=1, max_size=4))
        required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
        closed = draw(st.sampled_from(({}, {"additionalProperties": False}, {"additionalProperties": True})))
        return {"type": "object", "properties": properties, "required": required, **closed}

    @st.composite
    def arrays(draw: st.DrawFn) -> dict[str, Any]:
        least = draw(st.integers(0, 3))
        bound = {"maxItems": least + draw(st.integers(0, 3))} if draw(st.booleans()) else {}
        return {"type": "array", "items": draw(inner), "minItems": least, **bound}

    return st.one_of(
        objects(),
        arrays(),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        inner.map(lambda value: {"type": "object", "additionalProperties": value, "maxProperties": 3}),
        inner.map(lambda value: {"allOf": [value], "title": "x"}),
    )


SCHEMAS = st.recursive(
    st.one_of(
        strings(),
        numbers(),
        st.sampled_from(({"type": "boolean"}, {"type": ["string", "null"]}, {"type": ["integer", "number", "null"]})),
        st.lists(VALUES, min_size=1, max_size=6).map(lambda values: {"enum": values}),
        VALUES.map(lambda value: {"const": value}),
    ),
    nested,
    max_leaves=5,
)
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer", "minimum": -5, "maximum": 17},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 2},
            },
            "required": ["value"],
        }
    },
}
SUM = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"op": {"enum": ["add", "sub"]}, "left": {"$ref": "#"}, "right": {"$ref": "#"}},
            "required": ["op", "left", "right"],
        },
        {"type": "object", "properties": {"op": {"const": "num"}, "n": {"type": "number"}}, "required": ["op", "n"]},
        {"type": "null"},
    ]
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    """A vocabulary of the 256 bytes."""
    made = LlamaModel(str(chain_model(tmp_path_factory.mktemp("models") / "bytes.gguf", ["x"])))
    yield made
    made.close()


def walk(model: LlamaModel, grammar: str, seed: int, *, hurry_after: int = 60, most: int = 4000) -> str:
    """A random text that llama.cpp says meets the grammar; after some bytes it ends what it can."""
    draw = random.Random(seed)
    sampler = api.llama_sampler_init_grammar(model.vocabulary, grammar.encode(), b"root")
    assert sampler, grammar
    data = (api.llama_token_data * model.n_vocabulary)()
    array = api.llama_token_data_array(data=data, size=model.n_vocabulary, selected=-1, sorted=False)
    said = b""
    try:
        while len(said) < most:
            for token in range(model.n_vocabulary):
                data[token].id, data[token].logit = token, 1.0
            api.llama_sampler_apply(sampler, ctypes.byref(array))
            allowed = [token for token in range(model.n_vocabulary) if data[token].logit > -math.inf]
            every = {token: piece for token in allowed if (piece := model.piece(token)) != b""}
            # Where only such a byte may come, a constant of the schema spells it.
            pieces = {token: piece for token, piece in every.items() if piece not in UNSAID} or every
            assert pieces, f"a dead end after {said!r}"
            ends = [token for token, piece in pieces.items() if piece is None]
            if ends and (len(pieces) == len(ends) or draw.random() < 0.3):
                break
            going = [token for token, piece in pieces.items() if piece is not None]
            closing = [token for token in going if pieces[token] in (b'"', b"}", b"]", b"n")]
            plain = [token for token in going if ord(pieces[token] or b"\xff") < 0x80]
            hurry = closing and (draw.random() < (0.8 if len(said) > hurry_after else 0.2))
            token = draw.choice(closing if hurry else plain if plain and draw.random() < 0.8 else going)
            api.llama_sampler_accept(sampler, token)
            said += pieces[token] or b""
        else:
            raise AssertionError(f"no end in sight: {said[:200]!r}")
    finally:
        api.llama_sampler_free(sampler)
    return said.decode()


def check(model: LlamaModel, schema: Any, seed: int) -> None:
    text = walk(model, grammar_of(schema), seed)
    value = json.loads(text)
    error = next(iter(Draft202012Validator(schema).iter_errors(value)), None)
    assert error is None, (text, error)
    assert "\n" not in text


# Without shrinking, which takes minutes here: a byte costs a look at the whole vocabulary.
@settings(max_examples=60, deadline=None, phases=(Phase.reuse, Phase.generate), suppress_health_check=list(HealthCheck))
@given(schema=SCHEMAS, seed=st.integers(0, 1000))
def test_every_text_of_a_grammar_parses_and_validates(model: LlamaModel, schema: dict[str, Any], seed: int) -> None:
    check(model, schema, seed)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "schema",
    [
        TREE,
        SUM,
        {},
        {"type": "object"},
        {"properties": {"a": {"minimum": 3, "type": "integer"}}, "required": ["a", "b"]},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
        {"type": "number", "minimum": -0.5, "maximum": -0.25},
        {"type": "integer", "exclusiveMinimum": 99, "maximum": 1001},
        {"type": "string", "minLength": 300, "maxLength": 1000},
        {"type": "string", "pattern": "^[a-z]+$", "minLength": 3, "maxLength": 9},
        {"enum": ["a", 1, None, "b"], "type": "string"},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 300, "maxItems": 301},
        {"oneOf": [{"type": "array", "items": {"type": "null"}}, {"type": "string"}, {"const": 7}]},
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)  # fmt: skip
def test_what_people_write_is_kept(model: LlamaModel, schema: dict[str, Any], seed: int) -> None:
    check(model, schema, seed)


def refs(count: int) -> dict[str, Any]:
    """A chain of definitions, each twice the one before."""
    defs: dict[str, Any] = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"type": "array", "items": {"$ref": f"#/$defs/d{n + 1}"}}]}
        for n in range(count)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{count}": {"type": "array", "items": {}}}}


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        made = {"type": "array", "items": made}
    return made


CYCLE = {"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "array", "items": {"$ref": "#"}, "maxItems": 3}]}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"not": {}}, "#/not: is not supported"),
        ({"properties": {"age": {"type": "integer", "minimum": 9, "maximum": 3}}},
         "#/properties/age/minimum: there is no integer between the bounds"),
        ({"properties": {"a/b": {"type": "integer", "minimum": "1"}}}, "#/properties/a~1b/minimum: must be a number"),
        ({"type": "integer", "exclusiveMinimum": True}, "#/exclusiveMinimum: must be a number"),
        ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4},
         "#/exclusiveMinimum: there is no integer between the bounds"),
        ({"items": {"$ref": "http://x/y"}},
         "#/items/$ref: http://x/y is not in this schema: only references like #/$defs/name are"),
        ({"items": {"$ref": "#/$defs/a"}}, "#/items/$ref: #/$defs/a does not exist"),
        ({"$ref": "#"}, "#: refers to itself, or nests too deeply"),
        ({"$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}},
          "items": {"$ref": "#/$defs/a"}},
         "#/$defs/a: has no finite value: it always contains itself again"),
        (CYCLE, "#/anyOf: alternatives that begin alike may not contain themselves again"),
        ({"type": "strin"},
         "#/type: must be one of object, array, string, integer, number, boolean, null, or an array of them"),
        ({"type": "array", "minItems": 4, "maxItems": 2}, "#/minItems: is 4, more than maxItems, 2"),
        ({"type": "array", "uniqueItems": True}, "#/uniqueItems: is not supported"),
        ({"type": "string", "minLength": 1.5}, "#/minLength: must be an integer"),
        ({"type": "string", "maxLength": 10**12}, "#/maxLength: is more than 1073741824"),
        ({"type": "string", "pattern": "(?=a)"}, "#/pattern: has a group of a kind that is not supported"),
        ({"type": "string", "pattern": "(a|b)+", "maxLength": 3},
         "#/pattern: may match strings that are shorter or longer than minLength and maxLength say"),
        ({"type": "integer", "multipleOf": 5}, "#/multipleOf: is not supported"),
        ({"enum": []}, "#/enum: must be an array that is not empty"),
        ({"enum": ["a"], "type": "integer"}, "#/enum: has no value of its type"),
        ({"anyOf": [{"type": "string"}, False]}, "#/anyOf/1: allows nothing"),
        ({"anyOf": []}, "#/anyOf: must be an array that is not empty"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "#/oneOf: 0 and 1 may both match: use anyOf"),
        ({"properties": {"a": {}}, "required": ["b"], "additionalProperties": False},
         '#/required: "b" is required, and additionalProperties is false'),
        ({"properties": {"a": 3}}, "#/properties/a: must be an object, true or false"),
        ({"const": "\ud800"}, "#: holds half a surrogate pair"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_by_its_path(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        grammar_of(schema)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"const": math.nan}, "#"),
        (deep(MAX_DEPTH + 1), "#/items/items/items"),
        (deep(5000), "#"),
        (refs(20), "#/$defs/"),
        ({"enum": [chr(0x4E00 + n) for n in range(20000)]}, "#/enum"),
        ({"properties": {f"p{n}": {} for n in range(300)}}, "#/properties"),
        ({"oneOf": [{"const": n} for n in range(1000)]}, "#/oneOf"),
        ({"type": "string", "pattern": "(ab){200}"}, "#/pattern"),
        ({"type": "string", "pattern": "(" * 5000}, "#/pattern"),
        ({"$ref": "#/" + "x/" * 100_000}, "#/$ref"),
    ],
    ids=[
        "not a number",
        "deep",
        "very deep",
        "doubled",
        "wide",
        "properties",
        "pairs",
        "pattern",
        "groups",
        "reference",
    ],
)
def test_a_hostile_schema_is_one_short_error(schema: dict[str, Any], path: str) -> None:
    with pytest.raises(SchemaError) as caught:
        grammar_of(schema)
    assert caught.value.path.startswith(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [f"{n * 7919 % 99991} is a choice" for n in range(6000)]},
        {"type": "string", "minLength": 10**8, "maxLength": 10**9},
        {"type": "array", "items": {"type": "array", "maxItems": 10**9}, "minItems": 10**9},
        deep(MAX_DEPTH - 2),
    ],
    ids=["long enum", "long string", "long arrays", "deep"],
)
def test_a_large_schema_makes_a_grammar_that_llama_cpp_takes(model: LlamaModel, schema: dict[str, Any]) -> None:
    grammar = grammar_of(schema)
    assert len(grammar) < 1 << 20
    sampler = api.llama_sampler_init_grammar(model.vocabulary, grammar.encode(), b"root")
    assert sampler
    api.llama_sampler_free(sampler)
