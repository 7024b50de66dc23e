from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentgw.cli import output
from agentgw_shell.prompt.editor import LineInterrupted
from agentgw_shell.prompt.plain_editor import PlainEditor
from agentgw_shell.prompt.type_ahead import TypeAhead


class NoTerminal(TypeAhead):
    """One whose mode nobody changes."""

    def __init__(self) -> None:
        pass

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing to change."""
        yield


def test_an_interrupt_before_the_line_is_read_is_one_of_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    flush = output.flush

    def interrupted() -> None:
        monkeypatch.setattr(output, "flush", flush)
        flush()
        raise KeyboardInterrupt

    editor = PlainEditor(str(tmp_path / "history"), NoTerminal())
    monkeypatch.setattr(output, "flush", interrupted)
    with pytest.raises(LineInterrupted) as caught:
        editor.prompt("> ")
    assert caught.value.was_empty
    output.flush()
    assert capfd.readouterr().out == "> \n"
