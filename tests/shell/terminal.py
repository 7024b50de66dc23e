"""A program on a pseudo-terminal, with a screen that tests can read."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

from tests.patience import PATIENCE_S

COLUMNS, LINES = 90, 30


class _Screen(pyte.Screen):
    """A screen that answers like a terminal: where the cursor is when it comes to the question, not when it is read.

    An answer from before the text in front of the question would tell the program that it has more room below than
    there is; it would then scroll that text away.
    """

    def __init__(self, answer: Callable[[str], None], columns: int) -> None:
        super().__init__(columns, LINES)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """Runs a command on a terminal of 90 by 30, if not told otherwise; a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path | None = None,
        *,
        mute: bool = False,
        columns: int = COLUMNS,
    ) -> None:
        """`mute`: a terminal that answers no question about itself."""
        #: Every byte that came to the terminal.
        self.received = b""
        #: All that happened to the screen in order: text, and sizes.
        self.tape: list[str | tuple[int, int]] = []
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._screen = _Screen(_ignore if mute else self.send, columns)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm"},
            cwd=cwd, start_new_session=True, preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def send(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        self.tape.append((columns, lines))
        self._screen.resize(lines, columns)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def text(self) -> str:
        """The text that the screen shows, without trailing blanks."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def wait_for(self, *texts: str, timeout_s: float = PATIENCE_S) -> str:
        """The screen, once it shows all of these."""
        deadline = time.monotonic() + timeout_s
        while not all(text in self.text() for text in texts):
            assert time.monotonic() < deadline, f"{texts} not on the screen:\n{self.text()}"
            self._read(deadline - time.monotonic())
        return self.text()

    def wait_gone(self, text: str, timeout_s: float = PATIENCE_S) -> None:
        """Returns once the screen does not show this any more."""
        self.wait_until(lambda: text not in self.text(), f"{text} is still on the screen", timeout_s)

    def wait_until(
        self, condition: Callable[[], bool], fault: str = "it does not come", timeout_s: float = PATIENCE_S
    ) -> None:
        """Returns once the condition holds of what the screen shows."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{fault}:\n{self.text()}"
            self._read(deadline - time.monotonic())

    def wait_exit(self, timeout_s: float = PATIENCE_S) -> int:
        """The exit status."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text()
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def _read(self, timeout_s: float) -> bool:
        """Shows what came; tells whether anything did."""
        if not select.select([self._ours], [], [], min(max(timeout_s, 0), 1))[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other end is closed
            return False
        self.received += data
        if text := self._decoder.decode(data):
            self.tape.append(text)
        self._stream.feed(data)
        return bool(data)


def _ignore(answer: str) -> None:
    """Keeps it from the program."""


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
