"""The prompt before its editor is there: loading that takes longer than all else until then."""

from __future__ import annotations

import sys

from agentgw.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PROMPT: Final = "› "
# A paste may come before the editor asks for it to be marked, and would be sent line by line.
_MARKED_PASTE: Final = "\x1b[?2004h"
_PLAIN_PASTE: Final = "\x1b[?2004l"


class FirstPrompt:
    """The editor's first line, drawn in its place before the editor is loaded, where that is standard output.

    Keys that are pressed meanwhile wait for the editor. Nothing is drawn where it could not be drawn over.
    """

    def __init__(self, *, drawn: bool = True) -> None:
        self._drawn = drawn
        self._shown = False

    def show(self) -> None:
        """Draw the line. It is written over by whoever writes next, so `leave` it first."""
        self._shown = self._drawn and output.is_terminal(sys.stdout)
        if self._shown:
            self._write(_MARKED_PASTE + PROMPT)

    def leave(self) -> None:
        """Put the cursor back to where the line begins."""
        if self._shown:
            self._shown = False
            self._write(f"\r{_PLAIN_PASTE}")

    def _write(self, text: str) -> None:
        stream = sys.stdout
        stream.buffer.write(text.encode(stream.encoding or "utf-8", "replace"))
        stream.buffer.flush()
