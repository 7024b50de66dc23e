"""`agentgw bridge`: standard input and output as a connection to this machine's daemon, as ssh:// needs it."""

from __future__ import annotations

import os
import select
import socket
import threading

from agentgw.cli import output
from agentgw.local.connect import connect_client
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

    from agentgw.client import ByteStream

_BYTES: Final = 64 << 10
_STDIN: Final = 0
_STDOUT: Final = 1


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument(
        "--until-eof", action="store_true", help="end with standard input, whatever is under way, as a client that left"
    )


def run(args: Namespace) -> int:
    """Carries frames both ways until the daemon ends the connection, or nobody reads them any more."""
    environment = Environment()
    # It is what AGENTGW_URL leads to, so it never follows one itself.
    environment.agentgw_url = ""
    with connect_client(Paths(environment), notice=output.notice) as client:
        connection = client.detached()
        threading.Thread(target=_carry_in, args=(connection, args.until_eof), daemon=True).start()
        _carry_out(connection)
    return 0


def _carry_in(connection: ByteStream, until_eof: bool) -> None:
    """Carry frames from standard input; in its own thread, or two sides that both write first would lock."""
    try:
        while data := os.read(_STDIN, _BYTES):
            connection.sendall(data)
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            # Without `until_eof` replies that are under way still come, as through `nc -U`.
            same.shutdown(socket.SHUT_RDWR if until_eof else socket.SHUT_WR)
    except OSError:
        # The other direction sees the end of the connection.
        return


def _carry_out(connection: ByteStream) -> None:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    poll.register(_STDOUT, 0)  # POLLHUP and POLLERR are always reported
    while True:
        ready = dict(poll.poll())
        if _STDOUT in ready:
            return
        data = connection.recv(_BYTES)
        if not data:
            return
        view = memoryview(data)
        while view:
            view = view[os.write(_STDOUT, view) :]
