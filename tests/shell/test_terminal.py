"""The terminal of these tests tells the truth about its cursor."""

from __future__ import annotations

import os
import sys

from tests.shell.terminal import Terminal

ASK = """
import os, sys, termios, tty
tty.setcbreak(0)
os.write(1, b"one\\r\\ntwo\\r\\nabc\\x1b[6n" + b"\\r\\nthree\\x1b[6n")
heard = b""
while heard.count(b"R") < 2:
    heard += os.read(0, 100)
print("\\r\\n" + heard.decode().replace("\\x1b", "ESC"))
"""


def test_a_program_is_told_where_the_cursor_was_when_it_asked() -> None:
    with Terminal([sys.executable, "-c", ASK], os.environ) as terminal:
        terminal.wait_for("ESC[3;4RESC[4;6R")
