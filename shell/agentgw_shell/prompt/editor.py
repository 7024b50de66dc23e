"""The line editor: Enter sends, Alt-Enter and Ctrl-J begin a new line, the rest is Emacs or vi."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.document import Document
from prompt_toolkit.filters import is_done, vi_navigation_mode
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style

from agentgw.cli import output
from agentgw.cli.terminal.editor import edited
from agentgw.protocol.errors import AgentgwError
from agentgw_shell.prompt.history import PrivateHistory

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

    from agentgw_shell.prompt.paste import Pastes

_STYLE: Final = Style.from_dict({"bottom-toolbar": "noreverse fg:ansibrightblack"})


class LineInterrupted(KeyboardInterrupt):
    """Ctrl-C at the prompt; `was_empty` when there was nothing to clear."""

    def __init__(self, *, was_empty: bool) -> None:
        super().__init__()
        self.was_empty = was_empty


def make_editor(
    history_file: str,
    pastes: Pastes,
    *,
    term: str = "",
    colours: bool = True,
    completer: Completer | None = None,
    toolbar: Callable[[], str] | None = None,
    terminal_input: Input | None = None,
    terminal_output: Output | None = None,
) -> PromptSession[str]:
    """An editor for messages of any number of lines. Raises LineInterrupted and EOFError when it is read."""
    session: PromptSession[str] = PromptSession(
        history=PrivateHistory(history_file), key_bindings=_bindings(pastes), multiline=True,
        prompt_continuation="  … ", enable_history_search=True, enable_suspend=True, completer=completer,
        complete_while_typing=False, style=_STYLE,
        color_depth=None if colours else ColorDepth.DEPTH_1_BIT,
        input=terminal_input, output=terminal_output or _output(term),
    )  # fmt: skip
    if toolbar is not None:
        _add_toolbar(session, toolbar)
    return session


def was_interrupted(session: PromptSession[str]) -> bool:
    """Tells whether Ctrl-C was read with the Enter that sent the line; what was typed behind both is kept."""
    keys = get_typeahead(session.app.input)
    found = [at for at, pressed in enumerate(keys) if pressed.key == Keys.ControlC]
    store_typeahead(session.app.input, keys[found[0] + 1 :] if found else keys)
    return bool(found)


def _add_toolbar(session: PromptSession[str], toolbar: Callable[[], str]) -> None:
    """A line below what is typed. The library's own bar is shown only where the cursor's place is known."""
    control = FormattedTextControl(lambda: [("class:bottom-toolbar", toolbar())])
    root = session.layout.container
    assert isinstance(root, HSplit)
    root.children.append(ConditionalContainer(Window(control, height=1), filter=~is_done))


def _output(term: str) -> Vt100_Output:
    """The terminal, which is never asked where its cursor is: many do not answer, and some answers come late."""
    stream = sys.stdout if sys.stdout.isatty() else sys.stderr
    made = Vt100_Output.from_pty(stream, term=term or None)
    made.enable_cpr = False
    return made


async def _write_in_editor(buffer: Buffer) -> None:
    """Have the message written in the user's editor, and send it; where that fails it stays as it was."""
    text = await run_in_terminal(partial(_edited, buffer.text))
    if text is not None:
        buffer.document = Document(text)
        buffer.validate_and_handle()


def _edited(text: str) -> str | None:
    try:
        return edited(text)
    except AgentgwError as error:
        output.report(error)
        return None


def _bindings(pastes: Pastes) -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def send(event: KeyPressEvent) -> None:
        if event.current_buffer.complete_state is not None:
            event.current_buffer.complete_state = None
            return
        event.current_buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    @bindings.add("c-j")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @bindings.add("c-c")
    def interrupt(event: KeyPressEvent) -> None:
        event.app.exit(exception=LineInterrupted(was_empty=not event.current_buffer.text), style="class:aborting")

    # The library's own takes another editor for one that is missing, and ends in a traceback for other faults.
    @bindings.add("c-x", "c-e")
    @bindings.add("v", filter=vi_navigation_mode)
    def in_editor(event: KeyPressEvent) -> None:
        event.app.create_background_task(_write_in_editor(event.current_buffer))

    @bindings.add(Keys.BracketedPaste)
    def paste(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(pastes.shorten(event.data))

    return bindings
