"""Command, socket and variables of this installation, as the service's files say them.

No secret is among them, and no path that an upgrade changes.
"""

from __future__ import annotations

import os
import sys

from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.local.sockets import MAX_PATH_BYTES
from agentgw.protocol.errors import ConfigRefused, DirectoryRefused
from agentgw.protocol.records.schema import record

PROGRAM = "agentgw-daemon"


@record
class ServiceSetup:
    """One installation, seen as a service."""

    command: tuple[str, ...]
    socket: str
    # Only those that say where files are, as the service manager does not know the shell's.
    variables: tuple[tuple[str, str], ...]
    writable: tuple[str, ...]
    # Start it when the user logs in, not with the first request.
    at_login: bool


def setup_of(paths: Paths, environment: Environment, *, at_login: bool) -> ServiceSetup:
    """The setup for these paths. Raises ConfigRefused and DirectoryRefused for what no unit can say."""
    if len(os.fsencode(paths.socket)) > MAX_PATH_BYTES:
        raise DirectoryRefused(
            f"the socket path {paths.socket} has more than {MAX_PATH_BYTES} bytes", hint="set a shorter AGENTGW_HOME"
        )
    made = ServiceSetup(
        command=stable_command(environment),
        socket=paths.socket,
        variables=_variables(paths, environment),
        writable=paths.directories,
        at_login=at_login,
    )
    for text in (*made.command, made.socket, *made.writable, *(value for _, value in made.variables)):
        if not text.isprintable():
            raise ConfigRefused(f"no unit can name the path {text!r}", hint="use a path of printable characters")
    return made


def stable_command(environment: Environment, *, prefix: str = sys.prefix) -> tuple[str, ...]:
    """The daemon's command by a path that stays the same when agentgw is upgraded.

    A link in `~/.local/bin` or on PATH that leads to this installation (pipx, uv and distributions make one) comes
    first, as the directory it leads to may carry a version; then the installation's own `bin`.
    """
    own = os.path.join(prefix, "bin", PROGRAM)
    folders = (os.path.join(environment.home, ".local", "bin"), *environment.path.split(":"))
    for folder in folders:
        found = os.path.join(folder, PROGRAM)
        if os.path.isabs(folder) and os.access(found, os.X_OK) and os.path.realpath(found) == os.path.realpath(own):
            return (found,)
    if os.access(own, os.X_OK):
        return (own,)
    # Installed without its scripts.
    return (sys.executable, "-P", "-m", "agentgw_daemon")


def _variables(paths: Paths, environment: Environment) -> tuple[tuple[str, str], ...]:
    if paths.home:
        return (("AGENTGW_HOME", paths.home),)
    asked = {
        "XDG_CONFIG_HOME": environment.config_home, "XDG_DATA_HOME": environment.data_home,
        "XDG_STATE_HOME": environment.state_home, "XDG_CACHE_HOME": environment.cache_home,
    }  # fmt: skip
    # A relative one counts for nothing (XDG specification).
    return tuple((name, value) for name, value in asked.items() if os.path.isabs(value))
