"""The line editor: Enter sends, Alt-Enter and Ctrl-J begin a new line, the history is kept in the state folder."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output


def make_editor(
    history_file: str, *, terminal_input: Input | None = None, terminal_output: Output | None = None
) -> PromptSession[str]:
    """An editor for messages of any number of lines."""
    # A typed line is as private as an answer, whatever the umask says.
    os.close(os.open(history_file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return PromptSession(
        history=FileHistory(history_file), key_bindings=_bindings(), multiline=True, prompt_continuation="  … ",
        enable_history_search=True, input=terminal_input, output=terminal_output,
    )  # fmt: skip


class TypeAhead:
    """The terminal between two prompts: what is typed is kept for the next one, unseen, with Enter still Enter.

    In the terminal's usual mode it would be echoed into the answer, and Enter would arrive as Ctrl-J. A context
    manager for the whole chat: prompt-toolkit comes back to the mode it found, so that there is no gap between.
    """

    def __init__(self) -> None:
        self._before = termios.tcgetattr(sys.stdin)

    def __enter__(self) -> Self:
        quiet = self._before[:]
        quiet[0] &= ~termios.ICRNL
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The usual mode for a question that is answered with a line."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    @bindings.add("c-j")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings
