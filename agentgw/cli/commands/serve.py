"""`agentgw serve`: becomes the daemon, in the foreground."""

from __future__ import annotations

import os

from agentgw.local.spawn import daemon_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import NoReturn


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--pidfile", metavar="FILE", default="", help="write the process id to FILE while it runs")


def run(args: Namespace) -> NoReturn:
    """Becomes the daemon."""
    # In one word, as a name may begin with a dash.
    command = daemon_command("--foreground", *([f"--pidfile={args.pidfile}"] if args.pidfile else []))
    os.execv(command[0], command)
