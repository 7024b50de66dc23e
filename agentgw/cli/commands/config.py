"""`agentgw config`: settings and where they come from."""

from __future__ import annotations

import os

from agentgw.cli import output
from agentgw.cli.commands import Action, add_json, connect
from agentgw.cli.commands.reload import reload
from agentgw.local.connect import connect_running
from agentgw.local.directories import prepare, private_umask
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.protocol.errors import DaemonUnreachable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _configure_show(parser: ArgumentParser) -> None:
    parser.add_argument("section", metavar="SECTION", nargs="?", help="one section")
    parser.add_argument("--origin", action="store_true", help="say where each value comes from")
    add_json(parser)


def _show(args: Namespace) -> int:
    with connect() as client:
        found = client.call("config.get", section=args.section)
    if args.json:
        output.json_line(found)
        return 0
    settings = found["settings"]
    if args.origin:
        rows = [(setting["key"], setting.get("value"), setting["origin"]) for setting in settings]
        output.table(rows, ("key", "value", "origin"))
    else:
        output.pairs([(setting["key"], setting.get("value")) for setting in settings])
    return 0


def _path(args: Namespace) -> int:
    output.line(Paths().config_file)
    return 0


def _edit(args: Namespace) -> int:
    """Opens the file in the user's editor; a running daemon reads it afterwards."""
    import shlex
    import subprocess

    paths = Paths()
    prepare(paths)
    if not os.path.exists(paths.config_file):
        with private_umask():
            os.close(os.open(paths.config_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    editor = shlex.split(Environment().editor or "vi")
    try:
        status = subprocess.run([*editor, paths.config_file], check=False).returncode
    except OSError as error:
        raise UsageError(f"the editor {editor[0]} cannot be started: {error.strerror}", hint="set EDITOR") from None
    if status:
        raise UsageError(f"the editor {editor[0]} ended with exit status {status}", hint="nothing was read again")
    try:
        client = connect_running(paths)
    except DaemonUnreachable:
        return 0
    with client:
        reload(client)
    return 0


ACTIONS = {
    "show": Action(_show, "every setting", "agentgw config show --origin", _configure_show),
    "path": Action(_path, "the file's path", "agentgw config path"),
    "edit": Action(_edit, "open the file in your editor", "agentgw config edit"),
}
