"""`agentgw stop`: ends the daemon; its turns get a little time."""

from __future__ import annotations

from agentgw.cli import output
from agentgw.local.connect import connect_running
from agentgw.local.lifetime.stopping import stop_daemon
from agentgw.local.paths import Paths
from agentgw.protocol.errors import DaemonUnreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def configure(parser: ArgumentParser) -> None:
    """No arguments."""


def run(args: Namespace) -> int:
    """Stops the daemon and waits for its end; that none runs is no error."""
    output.line("stopped" if stop(Paths()) else "not running")
    return 0


def stop(paths: Paths) -> bool:
    """Stops the daemon of `paths`, of whatever version; tells whether there was one."""
    try:
        client = connect_running(paths)
    except DaemonUnreachable:
        return False
    with client:
        reason = stop_daemon(client, paths)
    if reason:
        raise DaemonUnreachable(f"the daemon goes on: {reason}", hint="see agentgw logs")
    return True
