"""Values that `main` hands to `app.serve`: everything that must be right before anything heavy is imported."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from agentgw.local.paths import Paths
from agentgw.protocol.records.schema import record
from agentgw_daemon.config import load as config
from agentgw_daemon.config.load import Config
from agentgw_daemon.config.settings import secrets_of
from agentgw_daemon.lifecycle.lock import DaemonLock
from agentgw_daemon.lifecycle.notify import Notifier
from agentgw_daemon.lifecycle.socket_name import SocketName
from agentgw_daemon.observability.log import DaemonLog
from agentgw_daemon.text.secrets import Secrets


@record
class Started:
    """A daemon that holds its lock and its socket, and does not serve yet."""

    paths: Paths
    config: Config
    environ: Mapping[str, str]
    listener: socket.socket
    name: SocketName
    lock: DaemonLock
    log: DaemonLog
    secrets: Secrets
    pid: int
    instance: str
    started_at: str
    started_monotonic_s: float
    started_boottime_s: float
    prewarm: bool
    foreground: bool
    # False: no job starts by itself.
    scheduler: bool
    jobs_file: str
    # To be called once, when connections are accepted: from then on the client that started us is on its own.
    serving: Callable[[], None]
    # The service manager hears through it how we are.
    notifier: Notifier = field(default_factory=Notifier)
    # Settings of the command line, which a reload keeps.
    flags: Mapping[str, Any] = field(default_factory=dict)

    def read(self) -> Config:
        """The configuration as its file and the environment have it. Raises ConfigRefused."""
        return config.load(self.paths.config_file, self.environ, self.flags)

    def take_over(self, fresh: Config) -> None:
        """Take over what a configuration says of the log, and its secrets."""
        self.secrets.put("configuration", secrets_of(fresh.settings, self.environ))
        self.log.apply(fresh.settings.log)
