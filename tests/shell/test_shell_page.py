"""The transcripts of docs/shell.md are pieces of the screens that the chat showed."""

from __future__ import annotations

import re

import pytest

from tests.root import ROOT
from tests.shell.snapshots import FOLDER, masked

PAGE = ROOT / "docs" / "shell.md"
BLOCKS = re.findall(r"^```chat\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0] for block in BLOCKS])
def test_a_transcript_is_what_was_on_the_screen(block: str) -> None:
    shown = masked(block.replace("/home/you/project", "PLACE"))
    assert any(shown in screen.read_text() for screen in FOLDER.glob("*.txt")), shown


def test_no_other_block_shows_the_prompt() -> None:
    others = re.findall(r"^```(?!chat)\w*\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert [block for block in others if "›" in block] == []
    assert len(BLOCKS) == 6
