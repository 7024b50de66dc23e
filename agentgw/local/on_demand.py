"""A daemon that a service manager starts when somebody connects: looked for without connecting."""

from __future__ import annotations

import os
import sys

from agentgw.local.environment import Environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentgw.local.paths import Paths


def would_start(paths: Paths) -> bool:
    """True when a service is installed, and its daemon does not run: connecting would start it.

    For an instant after it was started, before it holds its lock, it counts as not running.
    """
    return os.path.lexists(_socket_file(Environment())) and not is_locked(paths.lock_file)


def _socket_file(environment: Environment) -> str:
    home = environment.home or os.path.expanduser("~")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "LaunchAgents", "org.agentgw.daemon.plist")
    config = environment.config_home if os.path.isabs(environment.config_home) else os.path.join(home, ".config")
    return os.path.join(config, "systemd", "user", "agentgw.socket")


def is_locked(path: str) -> bool:
    """True while a daemon holds this lock."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Shared and for an instant: a daemon that starts in this very instant tries again, and so does its client.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
