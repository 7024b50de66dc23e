"""Connecting to the daemon of this machine, which is started when nobody answers.

Everything but a running daemon of our own version is rare; `opening` has that code, and only then it is imported.
"""

from __future__ import annotations

from agentgw import __version__
from agentgw.client import Client, ConnectionLost
from agentgw.local import sockets
from agentgw.local.directories import refuse_another_home, refuse_sudo
from agentgw.local.environment import Environment
from agentgw.local.on_demand import would_start
from agentgw.protocol.errors import DaemonUnreachable, ShuttingDown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentgw.local.paths import Paths


def connect_client(
    paths: Paths,
    *,
    spawn: bool = True,
    warm: bool = False,
    notice: Callable[[str], None] | None = None,
    command: Sequence[str] | None = None,
    may_ask: bool = True,
    environment: Environment | None = None,
) -> Client:
    """A client of the daemon of `paths`, started when nobody answers unless `spawn` is False.

    An idle daemon older than us is replaced, a busy one goes on and `notice` is told. With `AGENTGW_SOCKET` or
    `AGENTGW_URL` set the daemon there is somebody else's to start and to replace; without `may_ask` ssh asks nothing on
    the way to it, and `environment` has the key, which is else that of the process. Raises DaemonUnreachable,
    VersionMismatch, AlreadyRunning, ConfigRefused or DirectoryRefused.
    """
    if paths.other_url:
        return _reach(paths.other_url, environment or Environment(), may_ask=may_ask)
    if paths.other_socket or not spawn:
        return connect_running(paths).greeted()
    refuse_sudo(Environment())
    connection = sockets.connect_own(paths)
    if connection is not None:
        try:
            client = Client(connection).greeted()
            if client.daemon.get("version") == __version__:
                refuse_another_home(client, paths)
                return client
            client.close()
        except (ConnectionLost, ShuttingDown):
            pass
    # Everything but a running daemon of our own version is rare, and its code stays off the common path.
    from agentgw.local.lifetime.opening import open_client

    return open_client(paths, warm=warm, notice=notice, command=command)


def connect_running(paths: Paths) -> Client:
    """A client of whatever daemon runs, of any version: `hello` is not said. Raises DaemonUnreachable.

    Starts none: also not by a connection to a socket that a service manager holds. One elsewhere was greeted, for that
    is how ssh's troubles are known. Raises what `connect_client` does then.
    """
    if paths.other_url:
        return _reach(paths.other_url, Environment(), may_ask=True)
    refuse_sudo(Environment())
    if not paths.other_socket and would_start(paths):
        raise DaemonUnreachable("no daemon is running; a request starts it", hint="run: agentgw start")
    connection = sockets.connect(paths.other_socket) if paths.other_socket else sockets.connect_own(paths)
    if connection is None:
        where = f" at {paths.other_socket}" if paths.other_socket else ""
        raise DaemonUnreachable(f"no daemon is running{where}", hint="run: agentgw start")
    return Client(connection)


def _reach(url: str, environment: Environment, *, may_ask: bool) -> Client:
    from agentgw.remote.reaching import reach

    return reach(
        url, key=environment.api_key, key_file=environment.api_key_file, plain_http=environment.plain_http,
        may_ask=may_ask,
    )  # fmt: skip
