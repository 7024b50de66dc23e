"""`agentgw restore`: a backup in the place of the database, which is kept beside it. The daemon ends for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from agentgw.cli import output
from agentgw.cli.commands import add_json, connect
from agentgw.local.connect import connect_running
from agentgw.local.lifetime.stopping import stop_daemon
from agentgw.local.paths import Paths, absolute
from agentgw.protocol.errors import (
    AlreadyRunning,
    BackupRefused,
    ConfigRefused,
    DaemonUnreachable,
    DirectoryRefused,
    UsageError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any, Final

# Copying and examining a database of many gigabytes on a slow disk.
_TIMEOUT_S: Final = 3600.0
_ERRORS: Final = {error.exit_status: error for error in (AlreadyRunning, ConfigRefused, DirectoryRefused)}


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="what agentgw backup made")
    add_json(parser)


def run(args: Namespace) -> int:
    """Examine it, put it in place, start the daemon again if it ran."""
    paths = Paths()
    if paths.other_socket:
        raise UsageError("AGENTGW_SOCKET names the daemon of somebody else", hint="unset it and try again")
    file = absolute(args.file)
    # Before the daemon is stopped for nothing.
    if os.path.exists(file) and os.path.exists(paths.database) and os.path.samefile(file, paths.database):
        raise BackupRefused(f"{file} is the database itself", hint="name what agentgw backup made")
    _restoring("--check", file)
    ran = _stop(paths)
    try:
        done = _restoring(file)
    finally:
        if ran:
            connect().close()
    if args.json:
        output.json_line(done)
        return 0
    sessions = done["sessions"]
    output.line(f"restored {sessions} session{'' if sessions == 1 else 's'} from {file}")
    if done["kept"]:
        output.notice(f"what was there is kept in {done['kept']}")
    return 0


def _stop(paths: Paths) -> bool:
    """Stop the daemon unless it is busy; tells whether one ran."""
    try:
        client = connect_running(paths)
    except DaemonUnreachable:
        return False
    with client:
        reason = stop_daemon(client, paths, upgrade=True)
    if reason:
        raise AlreadyRunning(f"the daemon is busy: {reason}", hint="try later, or run: agentgw stop")
    return True


def _restoring(*words: str) -> dict[str, Any]:
    """The answer of the daemon's own program: nobody else knows its database."""
    command = [sys.executable, "-P", "-m", "agentgw_daemon.storage.file.restoring", *words]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise BackupRefused(f"{words[-1]} was not restored within {_TIMEOUT_S:g} seconds") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").splitlines()
        error = _ERRORS.get(done.returncode, BackupRefused)
        raise error(said[-1], hint=None) if said else error(f"exit status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
