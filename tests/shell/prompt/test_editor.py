"""Keys at the prompt, typed into an editor without a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.output import DummyOutput

from agentgw_shell.prompt.editor import LineInterrupted, make_editor, was_interrupted
from agentgw_shell.prompt.paste import Pastes


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as made:
        yield made
        clear_typeahead(made)


@pytest.fixture
def editor(keys: PipeInput, tmp_path: Path) -> PromptSession[str]:
    return make_editor(str(tmp_path / "history"), Pastes(), terminal_input=keys, terminal_output=DummyOutput())


def test_ctrl_c_that_comes_with_enter_is_for_what_was_sent(editor: PromptSession[str], keys: PipeInput) -> None:
    keys.send_text("hello\r\x03more\r")
    assert editor.prompt() == "hello"
    assert was_interrupted(editor)
    # What was typed behind it is the next line's.
    assert editor.prompt() == "more"
    assert not was_interrupted(editor)


def test_keys_behind_enter_are_the_next_lines(editor: PromptSession[str], keys: PipeInput) -> None:
    keys.send_text("one\rtwo\rthree\r")
    lines = []
    for _ in range(3):
        lines.append(editor.prompt())
        assert not was_interrupted(editor)
    assert lines == ["one", "two", "three"]


@pytest.mark.parametrize(("typed", "was_empty"), [("\x03", True), ("words\x03", False)])
def test_ctrl_c_says_if_there_was_a_line_to_clear(
    editor: PromptSession[str], keys: PipeInput, typed: str, was_empty: bool
) -> None:
    keys.send_text(typed)
    with pytest.raises(LineInterrupted) as caught:
        editor.prompt()
    assert caught.value.was_empty is was_empty
