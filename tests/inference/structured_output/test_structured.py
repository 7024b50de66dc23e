from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol.errors import InvalidParams, SchemaUnmet
from agentgw.protocol.types import ChatMessage, FinishReason, Options
from agentgw_daemon.inference.engine import GenerationRequest
from agentgw_daemon.inference.engines.complaints import Complaint
from agentgw_daemon.inference.engines.completions import adapted_body, request_body
from agentgw_daemon.inference.structured_output.shape import shape_of
from agentgw_daemon.inference.structured_output.structured import check, instructed, instructed_messages, verify

pytestmark = pytest.mark.anyio

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 0},
        "born": {"type": "string", "format": "date"},
        "code": {"type": "string", "pattern": "^(a|a)+$"},
    },
    "required": ["age"],
}


async def test_a_good_answer_is_not_refused() -> None:
    await verify('{"age": 3, "born": "2024-02-29", "code": "aa"}', "stop", SCHEMA)


@pytest.mark.parametrize(
    ("text", "reason", "path", "said"),
    [
        ('{"age": 3}', "length", "#", "cut at the limit of tokens"),
        ("Sure! {}", "stop", "#", "it is no JSON"),
        ('{"age": NaN}', "stop", "#", "NaN is not a JSON value"),
        ('{"age": -1}', "stop", "#/age", "minimum"),
        ('{"age": 1, "code": "' + "a" * 5000 + 'b"}', "stop", "#/code", "does not match"),
        ('{"age": 1, "born": "2024-02-30"}', "stop", "#/born", "is no date"),
        ("[" * 100_000, "stop", "#", "nests too deeply"),
    ],
)
async def test_any_other_is_schema_unmet(text: str, reason: FinishReason, path: str, said: str) -> None:
    with pytest.raises(SchemaUnmet, match=said) as caught:
        await verify(text, reason, SCHEMA)
    assert caught.value.data["path"] == path
    assert text.startswith(caught.value.data["text"])


async def test_a_schema_that_cannot_be_kept_names_the_parameter_and_the_path() -> None:
    with pytest.raises(InvalidParams) as caught:
        await check({"properties": {"a": {"not": {}}}})
    assert caught.value.data["path"] == "schema#/properties/a/not"
    assert "#/properties/a/not: is not supported" in str(caught.value)


def test_the_model_is_shown_the_shape() -> None:
    assert (
        shape_of(SCHEMA) == '{"age": integer from 0, "born": string that is a date, "code": string matching ^(a|a)+$}'
    )
    said = instructed("Be brief.", SCHEMA)
    assert said == f"Be brief.\n\nAnswer with JSON only, on one line, like {shape_of(SCHEMA)}"
    long = {"enum": ["x" * 1000, "y" * 1000, "z" * 1000]}
    assert instructed("", long) == "Answer with JSON only, on one line."


def test_a_conversation_gets_it_in_its_system_message() -> None:
    user = ChatMessage(role="user", content="hi")
    (system, same) = instructed_messages((user,), SCHEMA)
    assert (system.role, same) == ("system", user)
    (joined, _) = instructed_messages((ChatMessage(role="system", content="Be brief."), user), SCHEMA)
    assert joined.content.startswith("Be brief.\n\nAnswer with JSON")


def test_an_endpoint_is_asked_for_less_each_time_it_refuses() -> None:
    request = GenerationRequest(
        messages=(ChatMessage(role="user", content="hi"),), options=Options(stop=("x",)), schema=SCHEMA
    )  # fmt: skip
    body: dict[str, Any] | None = request_body("m", request)
    assert body is not None
    assert "stop" not in body
    forms = []
    while body is not None:
        forms.append(body.get("response_format"))
        body = adapted_body(body, Complaint(message="response_format is not supported"))
    assert [form and (form["type"], form.get("json_schema", {}).get("strict")) for form in forms] == [
        ("json_schema", True), ("json_schema", None), ("json_object", None), None,
    ]  # fmt: skip
