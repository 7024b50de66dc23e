from __future__ import annotations

import pytest

from agentgw_shell.commands import table
from tests.root import ROOT


def test_every_command_is_found_by_its_name_and_says_what_it_does() -> None:
    for name, command in table.COMMANDS.items():
        assert table.find(name) is command
        assert command.summary


@pytest.mark.parametrize(
    ("typed", "near"), [("skll", "/skill"), ("histroy", "/history"), ("code-asistant", "/code-assistant")]
)
def test_an_unknown_command_names_the_nearest(typed: str, near: str) -> None:
    assert near in (table.unknown(typed, ["code-assistant"]).hint or "")


def test_an_unknown_command_that_is_near_nothing_points_to_the_list() -> None:
    assert table.unknown("zzzzzz", []).hint == "/help lists them"


def test_every_command_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "shell.md").read_text()
    assert [name for name in table.COMMANDS if f"`/{name}" not in page] == []
