"""The editor that the user named, however that is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw.cli.terminal.editor import edit, edited
from agentgw.protocol.errors import UsageError


@pytest.mark.parametrize(
    ("editor", "words"),
    [
        ("'/opt/my editor", "No closing quotation"),
        ("vi \\", "No escaped character"),
        ("/nowhere/vi -w", "the editor /nowhere/vi cannot be started"),
        ("sh -c 'exit 3'", "ended with exit status 3"),
        ("sh -c 'kill -9 $$'", "ended by signal 9"),
    ],
)
def test_an_editor_that_does_not_work_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, editor: str, words: str
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    with pytest.raises(UsageError, match=words):
        edit(str(tmp_path / "file"))


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_a_blank_one_is_vi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    vi = tmp_path / "vi"
    vi.write_text('#!/bin/sh\necho edited > "$1"\n')
    vi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("VISUAL", blank)
    monkeypatch.setenv("EDITOR", blank)
    edit(str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "edited\n"


def test_a_text_comes_back_as_the_editor_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "sh -c 'echo more >> \"$1\"' x")
    assert edited("some ü\n") == "some ü\nmore"
    monkeypatch.setenv("VISUAL", "sh -c ': > \"$1\"' x")
    assert edited("some") == ""


@pytest.mark.parametrize(
    ("editor", "words"), [("rm", "could not be handed to an editor: No such file"), ("false", "exit status 1")]
)
def test_a_text_that_does_not_come_back_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, editor: str, words: str
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(UsageError, match=words):
        edited("some")
    assert list(tmp_path.iterdir()) == []
