"""`agentgw scheduler`: the old spelling of `jobs list` and `start`."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, jobs, start
from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--list", action="store_true", help="now `agentgw jobs list`")
    parser.add_argument("--start", action="store_true", help="now `agentgw start`: the daemon runs the jobs")
    add_json(parser)


def run(args: Namespace) -> int:
    """Says what to write in future, and does it."""
    if args.list == args.start:
        raise UsageError("nothing says what to do", hint="write `agentgw jobs list` or `agentgw start`")
    verb = "jobs list" if args.list else "start"
    output.notice(f"`scheduler` is an old spelling; write `agentgw {verb}`")
    return jobs.list_jobs(args) if args.list else start.run(args)
