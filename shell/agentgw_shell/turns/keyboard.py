"""Keys from the terminal while no prompt reads it."""

from __future__ import annotations

import codecs
import os
from typing import TYPE_CHECKING, Final

from prompt_toolkit.input.vt100_parser import Vt100Parser

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyPress

_READ_BYTES: Final = 1 << 16


class Keyboard:
    """Reads what is there and cuts it into keys."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pressed: list[KeyPress] = []
        self._parser = Vt100Parser(self._pressed.append)
        #: False once the terminal is gone.
        self.is_open = True

    def fileno(self) -> int:
        """The descriptor, to wait on."""
        return self._descriptor

    def read(self) -> list[tuple[str, str]]:
        """The keys that were pressed, each with its name and its characters. Call it when there is something."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except OSError:
            data = b""
        self.is_open = bool(data)
        self._parser.feed(self._decoder.decode(data))
        # A lone Escape is not waited for: it begins the key that comes next.
        self._parser.flush()
        pressed = [(str(getattr(one.key, "value", one.key)), one.data) for one in self._pressed]
        self._pressed.clear()
        return pressed
