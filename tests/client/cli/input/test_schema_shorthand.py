from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentgw.cli.input.schema_shorthand import read_schema, short_form
from agentgw.protocol.errors import UsageError


def test_the_short_form_is_an_object_of_exactly_these_properties() -> None:
    assert short_form("name, age int, tags [str]\nborn-in float: the  place, ok bool") == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "born-in": {"type": "number", "description": "the  place"},
            "ok": {"type": "boolean"},
        },
        "required": ["name", "age", "tags", "born-in", "ok"],
        "additionalProperties": False,
    }


def test_a_file_json_and_the_short_form_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("person").write_text(json.dumps({"type": "null"}))
    assert read_schema("person") == {"type": "null"}
    assert read_schema(' {"type": "string"}') == {"type": "string"}
    assert list(read_schema("somebody")["properties"]) == ["somebody"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--schema is empty"),
        ("age integer", "age has no known type: integer"),
        ("a, a", "there are two a"),
        ("1a", "'1a' does not begin with a name"),
        ("{", "--schema is no JSON"),
        ("missing.json", "missing.json cannot be read: there is no such file"),
        ("some/where", "some/where cannot be read: there is no such file"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_schema(text)
    assert said in str(caught.value)
    assert caught.value.exit_status == 2
