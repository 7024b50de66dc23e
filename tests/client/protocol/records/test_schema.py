"""Records and the wire: reading, writing, and the JSON Schema that says the same."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, NewType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import Limit, bind, dump, fields_of, record, schema_of
from tests.client.protocol.strategies import records

Colour = NewType("Colour", str)


@record
class Leaf:
    """A record inside a record."""

    size: Annotated[int, "in metres", Limit(minimum=1, maximum=2**32 - 2)]
    names: Annotated[tuple[Annotated[str, Limit(min_length=1)], ...] | None, "what it is called"] = None


@record
class Sample:
    """One field of every kind."""

    tag: ClassVar[str] = "not a field"
    text: Annotated[str, "a text", Limit(min_length=1, max_length=5)]
    colour: Colour
    level: Literal["low", "high"]
    count: Annotated[int, Limit(minimum=-3, maximum=3)] = 0
    share: Annotated[float | None, "from 0 to 1", Limit(minimum=0, maximum=1)] = None
    on: bool = False
    leaf: Leaf | None = None
    leaves: Annotated[tuple[Leaf, ...], Limit(max_length=2)] = ()
    either: Literal["a"] | Literal["b"] | bool = "a"
    code: Annotated[str, Limit(pattern="[a-z]+|[0-9]{2}")] = "x"
    anything: Any = None
    table: dict[str, Any] | None = None


_Note = Annotated[str, "which one", Limit(max_length=3)]


@record
class Holder:
    """A required field that may be null."""

    value: Any
    note: _Note | None = None


REQUIRED = {"text": "ab", "colour": "red", "level": "low"}
SCHEMA = Draft202012Validator(schema_of(Sample))
NAMES = [field.name for field in fields_of(Sample)]

# Wire values near enough to a Sample to reach every branch. A float without a fraction is left out: JSON Schema
# counts 1.0 as an integer, the reader does not.
SCALARS = st.sampled_from(
    [True, False, 0, 1, 2, 3, 4, -4, 2**32, 0.5, 1.5, "", "a", "b", "low", "12", "123", "abcdef", "Red"]
)
NEAR = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*NAMES, "size", "names", "sise"]), inner, max_size=3)
        | st.fixed_dictionaries({"size": inner}, optional={"names": inner})
    ),
    max_leaves=5,
)
WIRE = st.fixed_dictionaries(
    {name: st.just(value) | NEAR for name, value in REQUIRED.items()},
    optional={name: NEAR for name in [*NAMES, "txet"] if name not in REQUIRED},
)


@given(records(Sample))
def test_what_dump_writes_bind_reads(sample: Sample) -> None:
    wire = dump(sample)
    assert bind(Sample, wire) == sample
    assert SCHEMA.is_valid(wire), list(SCHEMA.iter_errors(wire))


@settings(max_examples=500)
@given(WIRE)
def test_bind_accepts_exactly_what_the_schema_accepts(wire: dict[str, Any]) -> None:
    refusal = None
    try:
        bind(Sample, wire)
    except InvalidParams as error:
        refusal = error
    assert SCHEMA.is_valid(wire) == (refusal is None), (refusal, list(SCHEMA.iter_errors(wire)))


def test_the_schema_is_a_schema_with_bounds_and_docs() -> None:
    schema = schema_of(Sample)
    Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["text", "colour", "level"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert list(properties) == NAMES
    assert properties["text"] == {"type": "string", "minLength": 1, "maxLength": 5, "description": "a text"}
    assert properties["share"] == {"type": "number", "minimum": 0, "maximum": 1, "description": "from 0 to 1"}
    assert properties["leaves"]["maxItems"] == 2
    assert properties["leaf"]["properties"]["names"]["items"] == {"type": "string", "minLength": 1}
    assert properties["level"] == {"enum": ["low", "high"]}
    assert properties["anything"] == {}


def test_docs_and_bounds_of_an_alias_hold_where_it_may_be_null() -> None:
    field = fields_of(Holder)[1]
    assert field.doc == "which one"
    assert field.limits == (Limit(max_length=3),)


def test_values_by_position_follow_the_order_of_the_fields() -> None:
    assert bind(Sample, ["ab", "red", "low", 2]) == Sample(text="ab", colour=Colour("red"), level="low", count=2)
    assert bind(Leaf, [1]) == Leaf(size=1)


def test_too_many_values_by_position_are_refused() -> None:
    with pytest.raises(InvalidParams, match="takes at most 2 values"):
        bind(Leaf, [1, ["x"], 3])


@pytest.mark.parametrize(("given", "near"), [("colr", "colour"), ("Text", "text"), ("anythin", "anything")])
def test_an_unknown_name_is_told_its_nearest_neighbour(given: str, near: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        bind(Sample, {**REQUIRED, given: 1})
    assert caught.value.data == {"path": given, "reason": f"unknown; did you mean {near}?"}


def test_an_unknown_name_far_from_all_is_just_unknown_and_cut_short() -> None:
    with pytest.raises(InvalidParams) as caught:
        bind(Sample, {**REQUIRED, "q" * 100_000: 1})
    assert caught.value.data == {"path": "q" * 64, "reason": "unknown"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REQUIRED])
def test_null_for_an_optional_field_is_the_same_as_leaving_it_out(name: str) -> None:
    assert bind(Sample, {**REQUIRED, name: None}) == bind(Sample, REQUIRED)


@pytest.mark.parametrize("name", REQUIRED)
def test_null_for_a_required_field_is_refused(name: str) -> None:
    with pytest.raises(InvalidParams):
        bind(Sample, {**REQUIRED, name: None})


def test_a_required_value_that_is_null_is_written_and_read_back() -> None:
    assert dump(Holder(value=None)) == {"value": None}
    assert bind(Holder, {"value": None}) == Holder(value=None)


BAD = [
    ({"text": 1}, "text", "must be a string"),
    ({"text": ""}, "text", "is empty"),
    ({"text": "abcdef"}, "text", "takes at most 5 characters"),
    ({"level": "middle"}, "level", "must be one of low, high"),
    ({"level": ["low"]}, "level", "must be one of low, high"),
    ({"count": True}, "count", "must be an integer"),
    ({"count": 1.0}, "count", "must be an integer"),
    ({"count": "1"}, "count", "must be an integer"),
    ({"count": 4}, "count", "must be at most 3"),
    ({"share": False}, "share", "must be a number"),
    ({"share": -0.1}, "share", "must be at least 0"),
    ({"on": 1}, "on", "must be true or false"),
    ({"leaf": []}, "leaf", "must be an object"),
    ({"leaf": {}}, "leaf.size", "missing"),
    ({"leaf": {"size": 2**32}}, "leaf.size", "must be at most 4294967294"),
    ({"leaf": {"size": 1, "names": ["a", ""]}}, "leaf.names[1]", "is empty"),
    ({"leaf": {"sise": 1}}, "leaf.sise", "unknown; did you mean size?"),
    ({"leaves": {"size": 1}}, "leaves", "must be an array"),
    ({"leaves": [{"size": 1}, {"size": 0}]}, "leaves[1].size", "must be at least 1"),
    ({"leaves": [{"size": 1}] * 3}, "leaves", "takes at most 2 items"),
    ({"code": "a1"}, "code", "must match [a-z]+|[0-9]{2}"),
    ({"table": [1]}, "table", "must be an object"),
]


@pytest.mark.parametrize(("wrong", "path", "reason"), BAD)
def test_the_refusal_names_the_place_and_the_reason(wrong: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        bind(Sample, {**REQUIRED, **wrong})
    assert caught.value.data == {"path": path, "reason": reason}
    assert str(caught.value) == f"Invalid params: {path} {reason}"


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InvalidParams) as caught:
        bind(Sample, {"text": "ab", "colour": "red"})
    assert caught.value.data == {"path": "level", "reason": "missing"}


def test_an_integer_becomes_the_float_that_the_field_asks_for() -> None:
    share = bind(Sample, {**REQUIRED, "share": 1}).share
    assert type(share) is float
    assert math.isclose(share, 1.0)


def test_dump_leaves_out_what_is_not_given_and_goes_into_containers() -> None:
    sample = Sample(
        text="ab",
        colour=Colour("red"),
        level="high",
        leaves=(Leaf(size=1), Leaf(size=2, names=("x",))),
        table={"leaf": Leaf(size=3), "null": None},
    )
    wire = dump(sample)
    assert "share" not in wire
    assert wire["leaves"] == [{"size": 1}, {"size": 2, "names": ["x"]}]
    assert wire["table"] == {"leaf": {"size": 3}, "null": None}
    assert "tag" not in wire


def test_a_type_without_a_json_form_is_refused_when_the_schema_is_made() -> None:
    @record
    class Odd:
        when: bytes

    with pytest.raises(TypeError, match="no JSON Schema"):
        schema_of(Odd)
