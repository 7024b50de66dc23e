"""`agentgw start`: the daemon, now rather than with the first message."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    """No arguments."""


def run(args: Namespace) -> int:
    """Starts the daemon unless it runs; prints its pid."""
    with connect() as client:
        output.line(str(client.daemon["pid"]))
    return 0
