"""The client's literals against the tables: its hot path does not import them, so nothing else would notice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from agentgw.protocol.calls.webhooks import WebhookEvent
from agentgw.protocol.events import EVENTS
from agentgw.protocol.methods import METHODS
from agentgw.protocol.records.schema import fields_of
from agentgw_daemon.server.calls.openrpc import event_name
from tests.root import ROOT

TABLES = {"errors.py", "events.py", "methods.py", "schema.py", "types.py"}
SOURCES = [path for path in sorted(ROOT.glob("agentgw/**/*.py")) if path.name not in TABLES]
SOURCES += sorted(ROOT.glob("shell/agentgw_shell/**/*.py"))
SENDERS = {"call", "stream", "send", "notify", "fetched"}
WORDS = METHODS.keys() | {event_name(event) for event in EVENTS} | set(get_args(WebhookEvent))
NOUNS = {word.partition(".")[0] for word in WORDS}
by_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())


def calls(source: Path) -> Iterator[tuple[str, list[str]]]:
    """Method names sent by literal, with the keywords that go along."""
    for node in ast.walk(ast.parse(source.read_text())):
        match node:
            case (
                ast.Call(func=ast.Attribute(attr=sender), args=[ast.Constant(value=str(name)), *_])
                | ast.Call(func=ast.Name(id=sender), args=[_, ast.Constant(value=str(name)), *_])
            ) if sender in SENDERS:
                yield name, [keyword.arg for keyword in node.keywords if keyword.arg is not None]


@by_source
def test_what_is_called_is_a_method_and_takes_these_parameters(source: Path) -> None:
    for name, keywords in calls(source):
        assert name in METHODS
        assert set(keywords) <= {field.name for field in fields_of(METHODS[name].params)}, name


@by_source
def test_every_word_that_looks_like_one_of_the_wire_is_one(source: Path) -> None:
    constants = {
        node.value
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    looks = {
        text
        for text in constants
        if re.fullmatch(r"[a-z]+\.(?!toml|log|lock)[a-z_]+", text) and text.partition(".")[0] in NOUNS
    }
    assert looks <= WORDS


def test_the_client_is_seen_calling() -> None:
    assert {"hello", "turn.start", "daemon.status", "daemon.shutdown"} <= {
        name for source in SOURCES for name, _ in calls(source)
    }
