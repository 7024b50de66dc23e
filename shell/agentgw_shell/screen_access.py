"""The terminal's screen: its size, and writing to it."""

from __future__ import annotations

import os

from agentgw.cli.output import OutputLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentgw.local.environment import Environment

Size = tuple[int, int]


def moves_cursor(environment: Environment) -> bool:
    """Tells whether the terminal understands escapes; one without a name is believed to understand none."""
    return environment.term not in ("", "dumb")


def write_to_terminal(text: str) -> None:
    """Write the whole text to standard output at once, past its buffer. Raises OutputLost."""
    data = text.encode("utf-8", "replace")
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError as error:
        raise OutputLost(f"standard output cannot be written: {error.strerror}") from None


def terminal_size() -> Size:
    """Columns and rows of the terminal; one that was never told its size has 80 by 24."""
    try:
        columns, rows = os.get_terminal_size(1)
    except OSError:
        columns = rows = 0
    return columns or 80, rows or 24
