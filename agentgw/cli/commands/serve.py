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
    parser.add_argument("--no-scheduler", action="store_true", help="start no job by itself")
    parser.add_argument("--scheduler-config", metavar="FILE", default="", help="another jobs file")


def run(args: Namespace) -> NoReturn:
    """Becomes the daemon."""
    # In one word each, as a name may begin with a dash.
    flags = [f"--pidfile={args.pidfile}"] if args.pidfile else []
    flags += ["--no-scheduler"] if args.no_scheduler else []
    flags += [f"--scheduler-config={args.scheduler_config}"] if args.scheduler_config else []
    command = daemon_command("--foreground", *flags)
    os.execv(command[0], command)
