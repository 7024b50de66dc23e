from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_shell.prompt.mentions import mentioned_files


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.txt", "b c.txt"):
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)


def test_files_that_are_there_are_mentioned_once() -> None:
    assert mentioned_files('see @a.txt, @"b c.txt" and @a.txt.') == ["a.txt", "b c.txt"]


@pytest.mark.parametrize("text", ["@missing.txt", "me@a.txt", "@", "@.", "@\0", "@ a.txt"])
def test_all_else_is_text(text: str) -> None:
    assert mentioned_files(text) == []
