"""A connection to the daemon of another machine's user: `agentgw bridge` there, run by the system's ssh.

ssh brings the user's own configuration, keys and questions along. The bridge is a process of the user over there, so
the daemon sees who is calling as it does with any local client.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

from agentgw.protocol.errors import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Final

    from agentgw.remote.address import RemoteAddress

_CONNECT_TIMEOUT_S: Final = 15
# A machine that is gone is noticed after three of these.
_ALIVE_S: Final = 15
# For the bridge to see the end of its input and ssh that of the bridge; then ssh is ended.
_END_S: Final = 2.0
# For the end of ssh's standard error.
_WORDS_S: Final = 2.0
_MOST_WORDS_BYTES: Final = 8 << 10
# A shell that is not interactive often lacks the directory that `pip install --user` and pipx put programs into.
# Single quotes mean the same to every login shell.
_COMMAND: Final = "sh -c 'PATH=$PATH:$HOME/.local/bin exec agentgw bridge --until-eof'"
# Ctrl-C is for the turn; a signal that is ignored stays so across exec, and ssh respects that. Its questions for a
# password and a host's key stay on the terminal, because it is in the terminal's own process group.
_SHIELD: Final = ("/bin/sh", "-c", 'trap "" INT QUIT; exec "$@"', "sh")
_COMMAND_NOT_FOUND: Final = 127
_SSH_FAILED: Final = 255


def ssh_command(address: RemoteAddress, *, may_ask: bool) -> list[str]:
    """The command line of ssh. Nothing of the address can be taken for an option or reach a shell."""
    options = [
        "-T", "-o", f"ConnectTimeout={_CONNECT_TIMEOUT_S}", "-o", f"ServerAliveInterval={_ALIVE_S}",
        "-o", "ServerAliveCountMax=3", "-o", "ClearAllForwardings=yes",
    ]  # fmt: skip
    if not may_ask:
        options += ["-o", "BatchMode=yes"]
    if address.port:
        options += ["-p", str(address.port)]
    if address.user:
        options += ["-l", address.user]
    return ["ssh", *options, "--", address.name, _COMMAND]


class SshStream:
    """A running ssh as a stream of bytes. `failure` is for when it ended before the daemon answered."""

    def __init__(self, address: RemoteAddress, *, may_ask: bool) -> None:
        self._address = address
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [*_SHIELD, *ssh_command(address, may_ask=may_ask)],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            ours.close()
            raise DaemonUnreachable(f"ssh cannot be started ({error.strerror})", hint="install OpenSSH") from None
        finally:
            theirs.close()
        self._socket = ours
        self._words = b""
        assert self._process.stderr is not None
        # Read all along, or ssh would stand still once the pipe is full.
        self._reader = threading.Thread(target=self._read_words, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    def settimeout(self, timeout_s: float | None) -> None:
        """Limits each wait."""
        self._socket.settimeout(timeout_s)

    def recv(self, size: int) -> bytes:
        """The next bytes of the daemon; nothing at the end."""
        return self._socket.recv(size)

    def send(self, data: bytes) -> int:
        """Sends the beginning of the data; gives how much that was."""
        return self._socket.send(data)

    def sendall(self, data: bytes) -> None:
        """Sends all of the data."""
        self._socket.sendall(data)

    def fileno(self) -> int:
        """The descriptor, to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Ends the connection and ssh."""
        self._socket.close()
        # By itself, as its input has ended; then less gently.
        for number in (0, signal.SIGTERM, signal.SIGKILL):
            self._process.send_signal(number)
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                continue
            return

    def failure(self) -> DaemonUnreachable:
        """The reason why nothing answered, in the words of ssh or of the other side."""
        self._socket.close()
        try:
            status = self._process.wait(_WORDS_S)
        except subprocess.TimeoutExpired:
            status = 0
        self._reader.join(_WORDS_S)
        # CR: ssh ends its own lines so that they look right on a terminal in raw mode.
        lines = [line.strip() for line in self._words.decode("utf-8", "replace").splitlines() if line.strip()]
        where = f"ssh://{self._address.user and self._address.user + '@'}{self._address.host}"
        said = lines[-1].removeprefix("agentgw: ") if lines else f"ssh ended with status {status}"
        attempt = " ".join(ssh_words(self._address))
        if status == _COMMAND_NOT_FOUND:
            return DaemonUnreachable(
                f"{where} has no agentgw where its shell looks ({said})",
                hint=f"install it there, or put it on the PATH of: {attempt} agentgw --version",
            )
        if status == _SSH_FAILED:
            return DaemonUnreachable(f"{where}: {said}", hint=f"see what this says: {attempt} agentgw --version")
        return DaemonUnreachable(f"{where}: {said}", hint=f"over there: agentgw doctor ({attempt} agentgw doctor)")

    def _read_words(self, pipe: IO[bytes]) -> None:
        with pipe:
            while data := os.read(pipe.fileno(), 4096):
                self._words = (self._words + data)[-_MOST_WORDS_BYTES:]


def ssh_words(address: RemoteAddress) -> list[str]:
    """The start of a command line that a person types to get there."""
    port = ["-p", str(address.port)] if address.port else []
    return ["ssh", *port, f"{address.user}@{address.name}" if address.user else address.name]


def has_terminal() -> bool:
    """Tells whether ssh could ask somebody for a password: it asks on the terminal of the process, not on stderr."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return sys.stderr is not None and sys.stderr.isatty()
