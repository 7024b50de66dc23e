"""The one place in the client that reads environment variables.

Everything else is handed an `Environment`. Does no other I/O.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

# Variables that would make the daemon load other code than the client did, or hand it sockets meant for somebody else;
# and where clients find another daemon, which none of its tools should be led to.
_DROPPED: Final = frozenset({"LD_PRELOAD", "LD_AUDIT", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "AGENTGW_URL"})
_DROPPED_PREFIXES: Final = ("PYTHON", "DYLD_INSERT")
# They only say whether and where compiled files are written.
_KEPT: Final = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"})


class Environment:
    """Values of the environment variables, as plain text; an unset variable is the empty string."""

    __slots__ = (
        "agentgw_home", "agentgw_socket", "agentgw_url", "api_key", "api_key_file", "cache_home", "config_home",
        "data_home", "editor", "home", "no_color", "path", "plain_http", "runtime_dir", "shell", "state_home",
        "sudo_uid", "term",
    )  # fmt: skip

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        get = (os.environ if variables is None else variables).get
        self.agentgw_home = get("AGENTGW_HOME", "")
        self.agentgw_socket = get("AGENTGW_SOCKET", "")
        # The daemon of another machine, or another socket; the key that its HTTP asks for, or the file with it.
        self.agentgw_url = get("AGENTGW_URL", "")
        self.api_key = get("AGENTGW_API_KEY", "")
        self.api_key_file = get("AGENTGW_API_KEY_FILE", "")
        self.plain_http = get("AGENTGW_PLAIN_HTTP", "") == "1"
        self.home = get("HOME", "")
        self.config_home = get("XDG_CONFIG_HOME", "")
        self.data_home = get("XDG_DATA_HOME", "")
        self.state_home = get("XDG_STATE_HOME", "")
        self.cache_home = get("XDG_CACHE_HOME", "")
        self.runtime_dir = get("XDG_RUNTIME_DIR", "")
        self.sudo_uid = get("SUDO_UID", "")
        self.path = get("PATH", "")
        # no-color.org: any value but the empty one.
        self.no_color = bool(get("NO_COLOR", ""))
        self.term = get("TERM", "")
        self.shell = get("SHELL", "")
        self.editor = get("VISUAL", "") or get("EDITOR", "")


def for_daemon(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment a spawned daemon gets: ours without what could change which code it runs."""
    made = {
        name: value
        for name, value in (os.environ if variables is None else variables).items()
        if name in _KEPT or not (name in _DROPPED or name.startswith(_DROPPED_PREFIXES))
    }
    # The daemon's working directory is `/`, so a relative home would be another one there.
    if made.get("AGENTGW_HOME"):
        made["AGENTGW_HOME"] = os.path.abspath(made["AGENTGW_HOME"])
    # systemd's protocol, except that the pid is not known before the daemon runs.
    made["LISTEN_FDS"] = "1"
    made["AGENTGW_SPAWNED"] = "1"
    return made


def for_service_manager(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of systemctl and its kin: words in English, and the way to the user's own manager."""
    made = dict(os.environ if variables is None else variables)
    made["LC_ALL"] = "C.UTF-8"
    # A shell that su or ssh opened may not know it.
    made.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    return made
