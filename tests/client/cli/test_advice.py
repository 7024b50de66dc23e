"""Each error leads to a command, and each command that an error, a hint or a finding names can be typed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import agentgw_shell.commands.sessions
from agentgw.cli.commands import skills
from agentgw.cli.main import VERBS, load
from agentgw.cli.records import journal
from agentgw.protocol import errors
from agentgw.protocol.errors import LISTINGS, AgentgwError, AlreadyExists, LocalError, NotFound, RpcError, from_wire

ROOT = Path(errors.__file__).parents[2]
# What they have in common has no one remedy; and a full standard output is nothing that agentgw can mend.
ABSTRACT = {"AgentgwError", "RpcError", "LocalError", "OutputLost"}
COMMAND = re.compile(r"agentgw ([a-z][a-z-]*)")
# In running text, where more words follow: `agentgw VERB ACTION`, or behind a word that announces a command.
TOLD = re.compile(r"(?:`|run: |see |try: |with: )agentgw ([a-z][a-z-]*)(?: ([a-z]+)(?=[ `]|$))?")
OPTION_OR_CHAT = re.compile(r"--[a-z]|/[a-z]")


def classes(root: type[AgentgwError] = AgentgwError) -> Iterator[type[AgentgwError]]:
    """The class and all below it."""
    yield root
    for below in root.__subclasses__():
        yield from classes(below)


def test_the_walk_comes_to_the_classes_outside_of_the_table() -> None:
    found = set(classes())
    assert {skills.SkillInvalid, journal.JournalLost, agentgw_shell.commands.sessions.FileNotWritten} <= found
    assert {NotFound, LocalError, RpcError} <= found


@pytest.mark.parametrize(
    "error",
    sorted({one for one in classes() if one.__module__.startswith("agentgw")}, key=lambda one: one.__qualname__),
    ids=lambda error: error.__name__,
)
def test_an_error_without_a_hint_names_what_can_be_typed(error: type[AgentgwError]) -> None:
    # Of these two it is the kind of what is not there that leads to a command.
    if error.__name__ not in ABSTRACT and error not in (NotFound, AlreadyExists):
        assert COMMAND.search(error.remedy) or OPTION_OR_CHAT.search(error.remedy) or "agentgw --help" in error.remedy


def sources() -> Iterator[ast.Module]:
    """Every module of the three packages."""
    for package in ("agentgw", "daemon", "shell"):
        for path in (ROOT / package).rglob("*.py"):
            yield ast.parse(path.read_text())


@cache
def missing() -> tuple[dict[str, ast.expr], ...]:
    """The keywords of the calls in the sources that make an error of what is not there, or is there already."""
    return tuple(
        {word.arg: word.value for word in node.keywords if word.arg}
        for module in sources()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in ("NotFound", "AlreadyExists")
    )


def test_each_kind_of_thing_that_may_not_be_there_has_a_listing() -> None:
    unhinted = [words.get("kind") for words in missing() if "hint" not in words]
    kinds = {kind.value for kind in unhinted if isinstance(kind, ast.Constant)}
    assert {"model", "turn"} <= kinds
    assert kinds - set(LISTINGS) == set()


def test_what_is_not_there_has_a_kind_or_a_hint() -> None:
    bare = [words for words in missing() if not {"kind", "hint"} & set(words)]
    assert bare == []


@pytest.mark.parametrize(("kind", "listing"), LISTINGS.items())
def test_what_is_not_there_is_told_with_the_command_that_lists_what_is(kind: str, listing: str) -> None:
    error = from_wire({"code": NotFound.code, "message": "no such thing", "data": {"kind": kind, "id": "x"}})
    assert error.advice == f"`{listing}` lists what there is"
    assert error.exit_status == (4 if kind == "model" else 1)


def test_a_hint_goes_before_what_helps_in_general() -> None:
    assert NotFound("x", hint="look", kind="model").advice == "look"
    assert errors.Timeout("x", hint="wait").advice == "wait"
    # The words of a daemon that did not start, which end in its own hint.
    assert errors.ConfigRefused("x. see agentgw logs").advice == ""
    # Of another daemon, about a kind that is not known here.
    assert from_wire({"code": NotFound.code, "message": "x", "data": {"kind": "wave"}}).advice == ""


def commands() -> list[tuple[str, str]]:
    """Each `agentgw VERB WORD` in a text of the sources that is no docstring."""
    found: set[tuple[str, str]] = set()
    for module in sources():
        told = {node.value for node in ast.walk(module) if isinstance(node, ast.Expr)}
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in told:
                found |= {(match[1], match[2] or "") for match in TOLD.finditer(node.value)}
    return sorted(found)


def test_each_command_that_is_named_can_be_typed() -> None:
    found = commands()
    assert len(found) > 40
    wrong = [pair for pair in found if not can_be_typed(*pair)]
    assert wrong == []


def can_be_typed(verb: str, word: str) -> bool:
    """Tells whether there is such a verb, and, where it has actions, such an action; other verbs take any word."""
    if verb not in VERBS:
        return verb == "help"
    actions = getattr(load(verb), "ACTIONS", None)
    return not word or actions is None or word in actions
