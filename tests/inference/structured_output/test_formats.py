from __future__ import annotations

import pytest

from agentgw_daemon.inference.structured_output import formats, pattern
from agentgw_daemon.inference.structured_output.compiler import check_formats, grammar_of
from agentgw_daemon.inference.structured_output.schema_reader import SchemaError

GOOD = {
    "date": ["2024-02-28", "2024-12-31", "0001-04-30"], "time": ["00:00:00Z", "23:59:59.5+02:00"],
    "date-time": ["2024-01-31T10:00:00Z", "2024-06-30T10:00:00.123456-12:30"],
    "email": ["a@b.c", "first.last+tag@mail.example.org"], "hostname": ["localhost", "a-b.example.org"],
    "ipv4": ["0.0.0.0", "255.249.199.9"], "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
    "uri": ["https://example.org/a/b?c=d&e", "http://h"],
}  # fmt: skip
# Of the format, and not what a grammar writes.
ALSO_GOOD = {
    "date": ["2024-02-29"], "time": ["23:59:60Z", "10:00:00z"], "date-time": ["2024-02-29t10:00:00Z"],
    "email": ['"a b"@c'], "hostname": ["A.example"], "ipv4": [], "uuid": ["123E4567-E89B-12D3-A456-426614174000"],
    "uri": ["urn:isbn:1", "mailto:a@b.c"],
}  # fmt: skip
BAD = {
    "date": ["2024-02-30", "2024-13-01", "2024-04-31", "2024-1-1", "20240101", "x"], "time": ["24:00:00Z", "10:00:00"],
    "date-time": ["2024-01-01", "2024-01-01 10:00:00Z", "2023-02-29T10:00:00Z"],
    "email": ["a", "@b", "a@", "a b@c", "a@b..c"], "hostname": ["-a", "a..b", "a_b", ""],
    "ipv4": ["256.0.0.1", "1.2.3", "01.2.3.4"], "uuid": ["123e4567"], "uri": ["/a", "http://a b", "x"],
}  # fmt: skip


@pytest.mark.parametrize("name", formats.PATTERNS)
def test_what_a_grammar_writes_is_of_the_format_and_nothing_else_is(name: str) -> None:
    written = pattern.Matcher(pattern.parse(formats.PATTERNS[name]))
    assert [text for text in GOOD[name] if not (written.matches(text) and formats.holds(name, text))] == []
    assert [text for text in ALSO_GOOD[name] if written.matches(text) or not formats.holds(name, text)] == []
    assert [text for text in BAD[name] if written.matches(text) or formats.holds(name, text)] == []
    assert formats.holds(name, 7), "JSON Schema: a format says nothing about other types"


def test_numbers_have_the_ranges_of_their_formats() -> None:
    assert formats.holds("int32", 2**31 - 1)
    assert not formats.holds("int32", 2**31)
    assert not formats.holds("int64", 2**63)
    bounded = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    assert grammar_of({"type": "integer", "format": "int32"}) == grammar_of(bounded)
    assert grammar_of({"type": "integer", "format": "int32", "minimum": 5}) == grammar_of({**bounded, "minimum": 5})


def test_a_format_alone_says_which_type_is_meant() -> None:
    assert check_formats({"format": "uuid"}) == check_formats({"type": "string", "format": "uuid"})


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"type": "string", "format": "ipv6"}, "#/format: is not supported; known are date,"),
        ({"type": "string", "format": 7}, "#/format: is not supported"),
        ({"type": "object", "properties": {"a": {"format": "date", "minLength": 3}}},
         "#/properties/a/format: cannot be combined with minLength"),
        ({"type": "array", "items": {"type": "string", "format": "date", "pattern": "x"}},
         "#/items/format: cannot be combined with pattern"),
        ({"$ref": "#/$defs/a", "format": "date", "$defs": {"a": {"type": "string"}}},
         "#/format: cannot be combined with \\$ref"),
        ({"type": "integer", "format": "date"}, "#/format: is one of strings"),
        ({"type": "string", "format": "int32"}, "#/format: is one of numbers"),
        ({"enum": ["x", "2024-02-30"], "format": "date"}, "#/enum: has no value"),
    ],
)  # fmt: skip
def test_a_format_that_is_not_kept_is_refused_by_its_path(schema: dict[str, object], fault: str) -> None:
    with pytest.raises(SchemaError, match=f"^{fault}"):
        check_formats(schema)


def test_a_format_that_a_tool_declares_is_a_hint() -> None:
    assert grammar_of({"type": "string", "format": "made-up"}) == grammar_of({"type": "string"})


def test_a_property_called_format_is_not_refused() -> None:
    check_formats({"type": "object", "properties": {"format": {"type": "string"}}, "required": ["format"]})


@pytest.mark.parametrize(("bound", "word"), [(1e30, "maximum"), (-1e30, "minimum"), (10**18 + 2, "exclusiveMaximum")])
def test_a_bound_that_no_number_meets_is_named(bound: float, word: str) -> None:
    with pytest.raises(SchemaError, match=f"^#/properties/a/{word}: a bound is larger"):
        check_formats({"type": "object", "properties": {"a": {"type": "integer", word: bound}}})
