"""Every call in the client is one of the table: a name or parameter that the daemon does not know never ships."""

from __future__ import annotations

import ast
from pathlib import Path

import agentgw
from agentgw.protocol.events import EVENTS
from agentgw.protocol.methods import METHODS
from agentgw.protocol.records.schema import fields_of

PACKAGE = Path(agentgw.__file__).parent
CALLS = {"call", "stream", "send", "notify"}


def calls() -> list[tuple[str, str, list[str]]]:
    """The place, the method and the parameters of each call."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS):
                continue
            match node.args:
                case [ast.Constant(value=str(method))]:
                    names = [keyword.arg for keyword in node.keywords]
                    # `**params` would hide what is sent from this test; those of `map` are made beside its options.
                    if path.name == "flow.py":
                        continue
                    assert None not in names, f"{path}:{node.lineno}"
                    found.append((f"{path.name}:{node.lineno}", method, [name for name in names if name]))
    return found


def test_every_call_is_in_the_table_with_the_parameters_it_knows() -> None:
    for where, method, names in calls():
        assert method in METHODS, f"{where}: {method}"
        fields = {field.name: field for field in fields_of(METHODS[method].params)}
        assert set(names) <= set(fields), f"{where}: {method}"
        assert {name for name, field in fields.items() if field.required} <= set(names), f"{where}: {method}"


def test_the_scan_finds_them() -> None:
    assert {"hello", "turn.start", "turn.cancel", "turn.attach", "daemon.status", "model.pull", "session.messages"} <= {
        method for _, method, _ in calls()
    }


def test_every_notification_looked_for_is_in_the_table() -> None:
    known = {event.method for event in EVENTS}
    looked_for = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith("notification.method"):
                looked_for |= {side.value for side in node.comparators if isinstance(side, ast.Constant)}
    assert {
        "turn.delta", "turn.progress", "turn.notice", "turn.approval", "turn.started", "turn.tool_result",
        "model.progress", "document.progress",
    } == looked_for  # fmt: skip
    assert looked_for <= known
