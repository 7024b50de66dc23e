"""`agentgw serve`: becomes the daemon, in the foreground."""

from __future__ import annotations

import os

from agentgw.local.lifetime.spawn import daemon_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import NoReturn


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--http", action="store_true", help="serve HTTP too, on http.sock beside the socket")
    parser.add_argument("--port", metavar="P", type=int, help="serve HTTP on this TCP port too; it asks for a key")
    parser.add_argument("--host", metavar="H", help="the address of that port (127.0.0.1)")
    parser.add_argument("--pidfile", metavar="FILE", default="", help="write the process id to FILE while it runs")
    parser.add_argument("--no-scheduler", action="store_true", help="start no job by itself")
    parser.add_argument("--scheduler-config", metavar="FILE", default="", help="another jobs file")


def run(args: Namespace) -> NoReturn:
    """Becomes the daemon."""
    flags = ["--http"] if args.http else []
    flags += [] if args.port is None else [f"--port={args.port}"]
    # In one word each, as a name may begin with a dash.
    flags += [] if args.host is None else [f"--host={args.host}"]
    flags += [f"--pidfile={args.pidfile}"] if args.pidfile else []
    flags += ["--no-scheduler"] if args.no_scheduler else []
    flags += [f"--scheduler-config={args.scheduler_config}"] if args.scheduler_config else []
    become_daemon(flags)


def become_daemon(flags: list[str]) -> NoReturn:
    """Replace this process by the daemon, with these flags beside its own."""
    command = daemon_command("--foreground", *flags)
    os.execv(command[0], command)
