"""Lines as the terminal itself edits them, without an escape: for one that cannot move its cursor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agentgw.cli import output
from agentgw_shell.prompt.editor import LineInterrupted
from agentgw_shell.prompt.history import PrivateHistory

if TYPE_CHECKING:
    from agentgw_shell.prompt.type_ahead import TypeAhead


class PlainEditor:
    """A message is a line. It is added to the history, in which nothing can be looked for here."""

    def __init__(self, history_file: str, terminal: TypeAhead) -> None:
        self.history = PrivateHistory(history_file)
        self._terminal = terminal

    def prompt(self, message: str, *, default: str = "") -> str:
        """The next line; an empty one is the `default`, where there is one. Raises LineInterrupted and EOFError."""
        if default:
            output.notice(f"Enter alone sends: {output.visible(default)}")
        try:
            output.write(message)
            # From here on Ctrl-C is for the line, also before anything reads it.
            output.flush()
            with self._terminal.paused():
                data = sys.stdin.buffer.readline()
        except KeyboardInterrupt:
            # The terminal has thrown the line away, be there one or not.
            output.line("")
            raise LineInterrupted(was_empty=True) from None
        if not data:
            output.line("")
            raise EOFError
        line = data.decode(sys.stdin.encoding or "utf-8", "replace").rstrip("\r\n")
        if line:
            self.history.append_string(line)
        return line or default
