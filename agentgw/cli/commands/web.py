"""`agentgw web`: the predecessor's name for `serve --port`. Warns, and does the new thing."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands.serve import become_daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final, NoReturn

_PORT: Final = 8080


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--port", metavar="P", type=int, default=_PORT, help="the TCP port (8080)")
    parser.add_argument("--host", metavar="H", default="127.0.0.1", help="its address (127.0.0.1)")


def run(args: Namespace) -> NoReturn:
    """Becomes the daemon, with HTTP on the port."""
    output.notice(f"`agentgw web` is the old spelling of `agentgw serve --port {args.port}`, which runs now")
    become_daemon([f"--port={args.port}", f"--host={args.host}"])
