"""Places of files and directories, for client and daemon alike.

On Linux and macOS the rules are platformdirs' own, written out here because importing it costs 54 ms. Makes
nothing; looks only at candidates for the runtime directory.
"""

from __future__ import annotations

import os
import sys

from agentgw.local.environment import Environment
from agentgw.protocol.errors import DirectoryRefused, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

APP: Final = "agentgw"
_LIBRARY: Final = ("Library", "Application Support")


class Paths:
    """Every path of one installation, absolute.

    `warning` says why the runtime directory is not the usual one, or is empty. `other_url` is the address of a daemon
    elsewhere that the client is to call, unjudged, or empty.
    """

    __slots__ = (
        "cache_dir", "config_dir", "data_dir", "home", "other_socket", "other_url", "run_dir", "state_dir", "warning",
    )  # fmt: skip

    def __init__(self, environment: Environment | None = None, *, platform: str = sys.platform) -> None:
        environment = environment or Environment()
        self.warning = ""
        self.other_socket = _absolute(environment.agentgw_socket)
        self.other_url = environment.agentgw_url
        if path := _path_of(self.other_url):
            self.other_socket, self.other_url = path, ""
        self.home = _absolute(environment.agentgw_home)
        if self.home:
            self.config_dir, self.data_dir, self.state_dir, self.cache_dir, self.run_dir = (
                os.path.join(self.home, name) for name in ("config", "data", "state", "cache", "run")
            )
        elif platform == "linux":
            self._linux(environment)
        elif platform == "darwin":
            self._macos(environment)
        else:
            self._elsewhere()

    def _linux(self, environment: Environment) -> None:
        self.config_dir = _base(environment.config_home, environment, ".config")
        self.data_dir = _base(environment.data_home, environment, ".local", "share")
        self.state_dir = _base(environment.state_home, environment, ".local", "state")
        self.cache_dir = _base(environment.cache_home, environment, ".cache")
        asked, uid = environment.runtime_dir, os.geteuid()
        problem = _runtime_problem(asked, uid)
        if not problem:
            self.run_dir = os.path.join(asked, APP)
            return
        fallback = f"/run/user/{uid}"
        usable = not _runtime_problem(fallback, uid)
        self.run_dir = os.path.join(fallback, APP) if usable else os.path.join(self.state_dir, "run")
        # Set and refused, or nothing usable at all: the XDG specification asks for a warning then.
        if asked or not usable:
            self.warning = f"XDG_RUNTIME_DIR {problem}; the socket is in {self.run_dir}"

    def _macos(self, environment: Environment) -> None:
        self.config_dir = _base(environment.config_home, environment, *_LIBRARY)
        self.data_dir = _base(environment.data_home, environment, *_LIBRARY)
        self.state_dir = _base(environment.state_home, environment, *_LIBRARY)
        self.cache_dir = _base(environment.cache_home, environment, "Library", "Caches")
        self.run_dir = _base("", environment, "Library", "Caches", "TemporaryItems")
        asked = environment.runtime_dir
        if asked and (problem := _runtime_problem(asked, os.geteuid())):
            self.warning = f"XDG_RUNTIME_DIR {problem}; the socket is in {self.run_dir}"
        elif asked:
            self.run_dir = os.path.join(asked, APP)

    def _elsewhere(self) -> None:
        from platformdirs import PlatformDirs

        theirs = PlatformDirs(APP, appauthor=False)
        self.config_dir, self.data_dir = theirs.user_config_dir, theirs.user_data_dir
        self.state_dir, self.cache_dir = theirs.user_state_dir, theirs.user_cache_dir
        # Their runtime directory may be in the shared /tmp.
        self.run_dir = os.path.join(self.state_dir, "run")

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories that are ours, each once, in the order they are made."""
        return tuple(dict.fromkeys((self.config_dir, self.data_dir, self.state_dir, self.cache_dir, self.run_dir)))

    @property
    def config_file(self) -> str:
        """The configuration."""
        return os.path.join(self.config_dir, "config.toml")

    @property
    def webhooks_file(self) -> str:
        """The webhooks."""
        return os.path.join(self.config_dir, "webhooks.yaml")

    @property
    def skills_dir(self) -> str:
        """The user's own skills."""
        return os.path.join(self.config_dir, "skills")

    @property
    def database(self) -> str:
        """The one database."""
        return os.path.join(self.data_dir, "agentgw.db")

    @property
    def lock_file(self) -> str:
        """Held by the daemon for life. Beside the database: two runtime directories must not mean two daemons."""
        return os.path.join(self.data_dir, "daemon.lock")

    @property
    def models_dir(self) -> str:
        """Pulled models."""
        return os.path.join(self.data_dir, "models")

    @property
    def kv_dir(self) -> str:
        """Keys and values that models have computed, for the next turns."""
        return os.path.join(self.cache_dir, "kv")

    @property
    def index_dir(self) -> str:
        """Files of the vector indexes; the database can make them again."""
        return os.path.join(self.cache_dir, "index")

    @property
    def log_file(self) -> str:
        """The daemon's log."""
        return os.path.join(self.state_dir, "daemon.log")

    @property
    def history_file(self) -> str:
        """File of the lines typed in the chat."""
        return os.path.join(self.state_dir, "repl_history")

    @property
    def socket(self) -> str:
        """Socket on which the daemon of these paths listens."""
        return os.path.join(self.run_dir, "agentgw.sock")

    @property
    def http_socket(self) -> str:
        """Socket on which the daemon of these paths speaks HTTP, if it does."""
        return os.path.join(self.run_dir, "http.sock")

    @property
    def http_key_file(self) -> str:
        """The key that HTTP over TCP asks for, where the environment gives none."""
        return os.path.join(self.state_dir, "http.key")

    @property
    def spawn_lock(self) -> str:
        """Held by a client while it starts the daemon."""
        return os.path.join(self.run_dir, "spawn.lock")


def absolute(path: str) -> str:
    """A path of this machine from the root. Raises UsageError for one that leads nowhere.

    The empty one would be the directory that one is in: mostly it is a variable that a script forgot to set.
    """
    if not path:
        raise UsageError("a path is empty", hint="`.` is the directory that you are in")
    try:
        return os.path.abspath(os.path.expanduser(path))
    except FileNotFoundError:
        raise UsageError(f"{path} begins in this directory, which is gone", hint="name it from /") from None


def _path_of(url: str) -> str:
    """The path of a `unix://` address, or nothing where it is another one, or none that can be used."""
    path = url.removeprefix("unix://")
    if path == url or not path.startswith("/"):
        return ""
    if "%" in path:
        from urllib.parse import unquote

        path = unquote(path, errors="surrogateescape")
    return "" if "\0" in path else os.path.normpath(path)


def _absolute(path: str) -> str:
    if not path or os.path.isabs(path):
        return os.path.normpath(path) if path else ""
    try:
        return os.path.abspath(path)
    except OSError:
        raise DirectoryRefused(
            f"{path} is relative and the working directory is gone", hint="name it from / on"
        ) from None


def _base(asked: str, environment: Environment, *default: str) -> str:
    """A base directory of the user with our name below; a relative one does not count (XDG specification)."""
    if os.path.isabs(asked):
        return os.path.join(asked, APP)
    home = environment.home
    if not os.path.isabs(home):
        home = _home_of_account()
    return os.path.join(home, *default, APP)


def _home_of_account() -> str:
    import pwd

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = ""
    if not os.path.isabs(home):
        raise DirectoryRefused("no home directory is known", hint="set HOME or AGENTGW_HOME")
    return home


def _runtime_problem(path: str, uid: int) -> str:
    """The reason why the directory cannot hold a socket that only we may reach; empty when it can."""
    if not path:
        return "is not set"
    if not os.path.isabs(path):
        return f"is relative ({path})"
    try:
        # lstat of a path with a slash at its end would follow a link.
        found = os.lstat(path.rstrip("/") or "/")
    except OSError as error:
        return f"cannot be used ({path}: {error.strerror})"
    # 0o040000 is S_IFDIR; the stat module would be one import more.
    if found.st_mode & 0o170000 != 0o040000:
        return f"is not a directory ({path})"
    if found.st_uid != uid:
        return f"belongs to uid {found.st_uid} ({path})"
    if found.st_mode & 0o077:
        return f"is open to others ({path} has mode {found.st_mode & 0o777:04o})"
    return ""
