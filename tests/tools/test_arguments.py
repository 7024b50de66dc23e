"""Malformed arguments are refused with the argument's name, before a tool sees them."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw_daemon.tools.arguments import MOST_QUOTED_CHARS, check_arguments
from agentgw_daemon.tools.builtin import BUILTIN
from agentgw_daemon.tools.builtins.read_file import READ_FILE
from agentgw_daemon.tools.builtins.run_command import RUN_COMMAND
from agentgw_daemon.tools.builtins.write_file import WRITE_FILE
from agentgw_daemon.tools.parameters import weight
from agentgw_daemon.tools.tool import CallFailed, ToolSpec


@pytest.mark.parametrize(
    ("spec", "arguments", "said"),
    [
        (READ_FILE.spec, [], "must be a JSON object"),
        (READ_FILE.spec, "{}", "must be a JSON object"),
        (READ_FILE.spec, {}, "'path' is a required property"),
        (READ_FILE.spec, {"path": 1}, "path: 1 is not of type 'string'"),
        (READ_FILE.spec, {"path": "a", "lines": True}, "lines: True is not of type 'integer'"),
        (READ_FILE.spec, {"path": "a", "lines": 0}, "lines: 0 is less than"),
        (READ_FILE.spec, {"path": "a", "file": "b"}, "'file' was unexpected"),
        (READ_FILE.spec, {"path": "a\ud800"}, "path is not valid Unicode"),
        (READ_FILE.spec, {"path": "a", "\udfff": 1}, "arguments is not valid Unicode"),
        (RUN_COMMAND.spec, {"argv": []}, "argv: []"),
        (RUN_COMMAND.spec, {"argv": "ls; id"}, "argv: 'ls; id' is not of type 'array'"),
        (RUN_COMMAND.spec, {"argv": ["ls", 1]}, "argv[1]: 1 is not of type 'string'"),
        (RUN_COMMAND.spec, {"argv": ["ls", "\ud800"]}, "argv[1] is not valid Unicode"),
    ],
)
def test_what_is_wrong_is_named(spec: ToolSpec, arguments: Any, said: str) -> None:
    with pytest.raises(CallFailed) as caught:
        check_arguments(spec, arguments)
    assert said in caught.value.text
    assert caught.value.text.startswith(f"{spec.name}: ")


def test_a_reason_is_short_however_long_the_value() -> None:
    with pytest.raises(CallFailed) as caught:
        check_arguments(RUN_COMMAND.spec, {"argv": "x" * 1_000_000})
    assert len(caught.value.text) < 1000


def test_good_arguments_pass_unchanged() -> None:
    assert check_arguments(READ_FILE.spec, {"path": "a", "lines": 3}) == {"path": "a", "lines": 3}


def test_a_schema_cannot_make_us_fetch_what_it_refers_to() -> None:
    spec = ToolSpec(
        name="mcp",
        description="",
        effect="none",
        parameters={"type": "object", "properties": {"a": {"$ref": "https://127.0.0.1:9/schema"}}},
    )
    with pytest.raises(CallFailed, match="schema"):
        check_arguments(spec, {"a": 1})


@pytest.mark.parametrize("value", [[1] * 3000, ["x" * 100_000] * 300])
def test_what_takes_too_long_to_check_by_a_strangers_schema_is_refused(value: Any) -> None:
    items = {"anyOf": [{"type": "boolean", "title": str(number)} for number in range(200)]}
    spec = ToolSpec(
        name="mcp", description="", effect="none",
        parameters={"type": "object", "properties": {"a": {"type": "array", "items": items}}},
    )  # fmt: skip
    with pytest.raises(CallFailed, match="too large to be checked"):
        check_arguments(spec, {"a": value})


def test_a_whole_frame_of_text_is_checked_by_our_own_tools() -> None:
    for tool in BUILTIN:
        assert weight(tool.spec.parameters) * (1 << 20) < MOST_QUOTED_CHARS
    assert check_arguments(WRITE_FILE.spec, {"path": "a", "content": "x" * (1 << 20)})
