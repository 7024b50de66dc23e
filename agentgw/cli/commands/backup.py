"""`agentgw backup`: the database as one file, made while the daemon works."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect, daemon_path
from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="the backup that is to be")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    add_json(parser)


def run(args: Namespace) -> int:
    """Makes the backup; prints its path."""
    if args.file == "-":
        # In a pipe its reader would be given the path, and the copy would lie here under that name.
        raise UsageError("a backup is a file and goes to no pipe", hint="name a file")
    with connect() as client:
        made = client.call("daemon.backup", path=daemon_path(args.file), force=args.force or None)
    if args.json:
        output.json_line(made)
    else:
        output.line(made["path"])
        output.notice(f"{output.size(made['size_bytes'])}: sessions, documents and settings of trust; no models")
    return 0
