"""The command line as tests run it: in this process, as a process, and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable

import pytest

from agentgw.cli import output
from tests.patience import PATIENCE_S

Run = Callable[..., subprocess.CompletedProcess[str]]
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Says what it says, whatever an earlier test wanted."""
    monkeypatch.setattr(output, "_quiet", False)


class Terminal:
    """A process on a pseudo terminal, which shows what a person would see."""

    def __init__(self, *words: str, environment: dict[str, str] | None = None, columns: int = 80) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agentgw", *words], stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.text = ""

    def wait_for(self, text: str) -> None:
        """Returns when the text is on the screen."""
        while text not in self.text:
            if not self._read():
                raise AssertionError(f"{text!r} not in {self.text!r}")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """The exit status, when all is printed."""
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(timeout=PATIENCE_S)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 20)[0]:
            raise AssertionError(f"nothing more after {self.text!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:
            # Linux's way to say that nobody has the other side open.
            data = b""
        self.text += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)
