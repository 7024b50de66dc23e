"""`agentgw restart`: stop and start."""

from __future__ import annotations

from agentgw.cli.commands.start import run as start
from agentgw.cli.commands.stop import stop
from agentgw.local.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    """No arguments."""


def run(args: Namespace) -> int:
    """Stops the daemon if one runs, starts it, prints the new pid."""
    stop(Paths())
    return start(args)
