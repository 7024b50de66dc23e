"""The error table: codes, exit statuses, and the way over the wire."""

from __future__ import annotations

import inspect

import pytest

from agentgw.protocol import errors
from agentgw.protocol.errors import RPC_ERRORS, AgentgwError, LocalError, RpcError, from_wire

# Name, code, exit status. Clients and scripts rely on them.
ERRORS = [
    ("ParseError", -32700, 1),
    ("InvalidRequest", -32600, 1),
    ("MethodNotFound", -32601, 2),
    ("InvalidParams", -32602, 2),
    ("InternalError", -32603, 1),
    ("NotFound", -32001, 1),
    ("AlreadyExists", -32002, 1),
    ("SessionBusy", -32003, 75),
    ("Overloaded", -32004, 75),
    ("ContextOverflow", -32005, 7),
    ("ModelUnavailable", -32006, 4),
    ("WorkerDied", -32007, 1),
    ("ToolFailed", -32008, 1),
    ("TurnCancelled", -32009, 130),
    ("VersionMismatch", -32010, 3),
    ("ShuttingDown", -32011, 75),
    ("ApprovalDenied", -32012, 5),
    ("SchemaUnmet", -32013, 6),
    ("StorageUnavailable", -32014, 1),
    ("Timeout", -32015, 124),
]
LOCAL = {
    "UsageError": 2,
    "DaemonUnreachable": 3,
    "AlreadyRunning": 75,
    "ServiceManagerFailed": 3,
    "BackupRefused": 1,
    "ConfigRefused": 78,
    "DirectoryRefused": 78,
}
by_name = pytest.mark.parametrize("error", RPC_ERRORS, ids=lambda error: error.__name__)


def test_codes_and_exit_statuses_are_as_listed() -> None:
    assert [(error.__name__, error.code, error.exit_status) for error in RPC_ERRORS] == ERRORS


def test_codes_and_titles_are_unique() -> None:
    assert len({error.code for error in RPC_ERRORS}) == len(RPC_ERRORS)
    assert len({error.title for error in RPC_ERRORS}) == len(RPC_ERRORS)


def test_every_class_of_the_tree_is_in_a_table_and_in_the_docstring() -> None:
    classes = {
        name: thing
        for name, thing in inspect.getmembers(errors, inspect.isclass)
        if issubclass(thing, AgentgwError) and thing.__module__ == errors.__name__
    }
    bases = {AgentgwError, RpcError, LocalError}
    assert {thing for thing in classes.values() if issubclass(thing, RpcError)} - bases == set(RPC_ERRORS)
    local = {name: thing for name, thing in classes.items() if issubclass(thing, LocalError) and thing not in bases}
    assert {name: thing.exit_status for name, thing in local.items()} == LOCAL
    assert errors.__doc__ is not None
    for name in classes:
        assert name in errors.__doc__, f"{name} is missing from the tree in the docstring"


@by_name
def test_an_error_arrives_as_the_class_it_left_as(error: type[RpcError]) -> None:
    data = dict.fromkeys(error.data_fields, "x")
    sent = error("what happened", hint="what to do", **data)
    wire = sent.to_wire()
    assert wire == {"code": error.code, "message": "what happened", "data": {**data, "hint": "what to do"}}
    got = from_wire(wire)
    assert type(got) is error
    assert (got.message, got.hint, got.data) == ("what happened", "what to do", data)
    assert str(got) == "what happened"


@by_name
def test_an_error_without_a_message_says_its_title_and_sends_no_data(error: type[RpcError]) -> None:
    assert error().to_wire() == {"code": error.code, "message": error.title}


@by_name
def test_every_class_says_what_it_means(error: type[RpcError]) -> None:
    assert inspect.getdoc(error)
    assert all(error.data_fields.values())


@pytest.mark.parametrize(
    "wire",
    [
        {"code": -1, "message": "from a newer daemon"},
        {"code": -1, "message": "from a newer daemon", "data": None},
        {"code": -1, "message": "from a newer daemon", "data": [1]},
    ],
)
def test_an_unknown_code_is_a_plain_error(wire: dict[str, object]) -> None:
    got = from_wire(wire)
    assert type(got) is RpcError
    assert (got.message, got.hint, got.data) == ("from a newer daemon", "", {})


@pytest.mark.parametrize("wire", [{}, {"code": "x"}, {"code": None, "message": None}])
def test_a_malformed_error_is_an_error_still(wire: dict[str, object]) -> None:
    assert isinstance(from_wire(wire), RpcError)
