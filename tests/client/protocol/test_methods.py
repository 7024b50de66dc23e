"""The method table: complete, documented, and every record of it a valid JSON Schema."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agentgw.protocol.errors import RPC_ERRORS, InvalidParams
from agentgw.protocol.events import EVENTS
from agentgw.protocol.methods import METHODS, Method
from agentgw.protocol.records.schema import bind, dump, fields_of, schema_of
from agentgw.transport.framing import decode, encode
from agentgw_daemon.server.calls.openrpc import event_name, openrpc, result_schema
from tests.client.protocol.strategies import records

# Clients rely on these names: a method that goes or is renamed breaks them.
NAMES = [
    "hello", "ping", "rpc.discover",
    "daemon.status", "daemon.shutdown", "daemon.reload", "daemon.doctor", "daemon.backup",
    "turn.start", "turn.cancel", "turn.steer", "turn.prefill", "turn.attach", "turn.list", "turn.show",
    "turn.parts",
    "turn.replay",
    "approval.list", "approval.answer", "approval.rules", "approval.revoke",
    "chat.complete",
    "session.list", "session.get", "session.messages", "session.search",
    "session.rename", "session.fork", "session.compact", "session.expand", "session.export", "session.delete",
    "feedback.add", "feedback.list",
    "skill.list", "skill.get", "skill.route", "skill.cost", "skill.validate",
    "skill.import", "skill.project", "skill.trust", "skill.trusted", "skill.distrust",
    "tool.list", "tool.call",
    "document.ingest", "document.upload", "document.search", "document.list", "document.delete",
    "document.watched", "document.unwatch",
    "job.list", "job.add", "job.remove", "job.enable", "job.disable", "job.run", "job.history", "job.next",
    "model.list", "model.recommend", "model.show", "model.pull", "model.remove", "model.load",
    "model.unload", "model.default",
    "embed",
    "webhook.list", "webhook.test",
    "web.sign_in",
    "config.get", "config.set", "config.unset", "stats.get", "event.subscribe",
]  # fmt: skip

# The parameters and results of the methods that clients rely on most.
PARAMS = {
    "hello": ["client", "version", "protocol"],
    "turn.attach": ["turn_id", "from_seq"],
    "turn.cancel": ["turn_id"],
    "turn.steer": ["turn_id", "text"],
    "approval.answer": ["approval_id", "decision"],
    "event.subscribe": ["topics"],
}
START = ["message", "skill", "session_id", "model", "system", "options", "approvals", "files", "cwd", "ephemeral",
         "detach"]  # fmt: skip
RESULTS = {
    "hello": ["protocol", "version", "pid", "instance", "started_at"],
    "daemon.status": ["version", "pid", "uptime_s", "socket", "scheduler", "service", "models", "workers", "queue",
                      "sessions", "db_bytes"],
    "turn.start": ["turn_id", "session_id", "text", "finish_reason", "usage", "timings", "tool_calls", "sources",
                   "last_seq"],
    "chat.complete": ["message", "finish_reason", "usage"],
}  # fmt: skip
LISTS = {
    "turn.list": "turns",
    "approval.list": "approvals",
    "approval.rules": "rules",
    "session.list": "sessions",
    "session.messages": "messages",
    "session.search": "messages",
    "feedback.list": "ratings",
    "skill.list": "skills",
    "skill.route": "skills",
    "skill.cost": "skills",
    "skill.trusted": "projects",
    "tool.list": "tools",
    "document.watched": "folders",
    "model.list": "models",
}

by_row = pytest.mark.parametrize("row", METHODS.values(), ids=lambda row: row.name)
by_record = pytest.mark.parametrize(
    "record",
    sorted(
        {record for row in METHODS.values() for record in (row.params, row.result) if record is not None},
        key=lambda record: record.__name__,
    ),
    ids=lambda record: record.__name__,
)


def test_every_method_is_there_once_under_its_name() -> None:
    assert list(METHODS) == NAMES
    assert all(row.name == name for name, row in METHODS.items())


@by_row
def test_a_method_is_documented_and_names_only_what_is_in_the_tables(row: Method) -> None:
    assert row.doc.endswith(".")
    assert set(row.events) <= set(EVENTS)
    assert set(row.errors) <= set(RPC_ERRORS)
    assert len(set(row.errors)) == len(row.errors)


@by_record
def test_a_record_is_documented_and_makes_a_valid_schema(record: type) -> None:
    assert inspect.getdoc(record)
    schema = schema_of(record)
    Draft202012Validator.check_schema(schema)
    json.dumps(schema, allow_nan=False)


@by_row
def test_every_parameter_says_what_it_is(row: Method) -> None:
    for field in fields_of(row.params):
        assert field.doc or field.name in ("options", "format"), f"{row.name}: {field.name} is undocumented"


@pytest.mark.parametrize(("name", "fields"), PARAMS.items())
def test_parameters_are_the_contracts_in_its_order(name: str, fields: list[str]) -> None:
    assert [field.name for field in fields_of(METHODS[name].params)] == fields


def test_turn_start_takes_what_the_contract_says_and_only_a_message_is_needed() -> None:
    known = fields_of(METHODS["turn.start"].params)
    assert {*START, "idempotency_key"} <= {field.name for field in known}
    assert [field.name for field in known if field.required] == ["message"]
    assert known[0].name == "message"  # so that ["hello"] by position is a turn


@pytest.mark.parametrize(("name", "fields"), RESULTS.items())
def test_a_result_has_what_the_contract_says(name: str, fields: list[str]) -> None:
    result = METHODS[name].result
    assert result is not None
    assert set(fields) <= {field.name for field in fields_of(result)}


@pytest.mark.parametrize(("name", "plural"), LISTS.items())
def test_a_list_is_an_object_with_one_plural_key(name: str, plural: str) -> None:
    result = METHODS[name].result
    assert result is not None
    assert {field.name for field in fields_of(result)} - {"next"} == {plural}


@by_record
@settings(max_examples=15)
@given(data=st.data())
def test_every_record_survives_the_wire_and_meets_its_schema(record: type, data: Any) -> None:
    value = data.draw(records(record))
    wire = decode(encode(dump(value)).rstrip(b"\n"))
    assert bind(record, wire) == value
    Draft202012Validator(schema_of(record)).validate(wire)


@by_row
def test_an_unknown_parameter_is_refused(row: Method) -> None:
    with pytest.raises(InvalidParams, match="surprise"):
        bind(row.params, {"surprise": 1})


def test_the_openrpc_document_has_every_row_of_every_table() -> None:
    document = openrpc()
    assert [method["name"] for method in document["methods"]] == NAMES
    assert [event["name"] for event in document["x-notifications"]] == [event_name(event) for event in EVENTS]
    assert [error["code"] for error in document["components"]["errors"].values()] == [e.code for e in RPC_ERRORS]
    assert decode(encode(document).rstrip(b"\n")) == document


@by_row
def test_the_openrpc_document_says_of_a_method_what_the_table_says(row: Method) -> None:
    (method,) = (method for method in openrpc()["methods"] if method["name"] == row.name)
    assert method["summary"] == row.doc
    assert [(param["name"], param["required"]) for param in method["params"]] == [
        (field.name, field.required) for field in fields_of(row.params)
    ]
    for param in method["params"]:
        Draft202012Validator.check_schema(param["schema"])
    Draft202012Validator.check_schema(method["result"]["schema"])
    assert method["result"]["schema"] == result_schema(row)
    errors = openrpc()["components"]["errors"]
    codes = [errors[ref["$ref"].rpartition("/")[2]]["code"] for ref in method["errors"]]
    assert codes == [error.code for error in row.errors]
    assert method["x-notifications"] == [event_name(event) for event in row.events]


# The reader of the jobs file judges that of a job.
AT_A_DIRECTORY = [
    name
    for name, row in METHODS.items()
    if name != "job.add" and any(one.name == "cwd" for one in fields_of(row.params))
]


@pytest.mark.parametrize("name", AT_A_DIRECTORY)
@pytest.mark.parametrize("cwd", ["project", "~/project", ".", "../x", "/x\0"])
def test_a_directory_is_absolute_wherever_one_is_given(name: str, cwd: str) -> None:
    given = {"message": "m", "name": "a", "tool": "t", "arguments": {}, "rating": 1, "query": "q", "cwd": cwd}
    params = METHODS[name].params
    known = {field.name for field in fields_of(params)}
    with pytest.raises(InvalidParams) as caught:
        bind(params, {key: value for key, value in given.items() if key in known})
    assert caught.value.data["path"] == "cwd"
    for fine in ("/x y", ""):
        bind(params, {key: value for key, value in (given | {"cwd": fine}).items() if key in known})
