"""The service manager of this system, asked in the order that is safe; and the faults of an installed service."""

from __future__ import annotations

import os
import sys

from agentgw.local.connect import connect_client, connect_running
from agentgw.local.directories import prepare, refuse_sudo
from agentgw.local.environment import Environment
from agentgw.local.lifetime.stopping import stop_daemon
from agentgw.local.service.launchd import LaunchdManager
from agentgw.local.service.setup import setup_of
from agentgw.local.service.systemd import SystemdManager
from agentgw.protocol.errors import (
    AgentgwError,
    AlreadyRunning,
    ConfigRefused,
    DaemonUnreachable,
    MethodNotFound,
    ServiceManagerFailed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentgw.client import Client
    from agentgw.local.paths import Paths
    from agentgw.local.service.files import Installed
    from agentgw.local.service.setup import ServiceSetup


class DaemonService:
    """The daemon of these paths as a service."""

    def __init__(self, paths: Paths, environment: Environment | None = None, *, platform: str = sys.platform) -> None:
        self.paths = paths
        self._environment = environment or Environment()
        refuse_sudo(self._environment)
        home = os.path.expanduser("~")
        self.manager: SystemdManager | LaunchdManager
        if platform == "darwin":
            self.manager = LaunchdManager(home, paths.state_dir)
        else:
            self.manager = SystemdManager(self._environment, home)

    def setup(self, *, at_login: bool) -> ServiceSetup:
        """Contents of this installation's files."""
        return setup_of(self.paths, self._environment, at_login=at_login)

    def install(self, *, strict: bool | None = None) -> tuple[str, ...]:
        """Writes and enables it; gives the files that changed. `strict` None: as it is."""
        self.manager.require()
        wanted = self.manager.is_strict if strict is None else strict
        prepare(self.paths)
        setup = self.setup(at_login=has_enabled_jobs(self.paths))
        problem = self.manager.probe(setup) if wanted else ""
        if problem:
            raise ServiceManagerFailed(
                f"this system cannot run the strict variant: {problem}", hint="run: agentgw service install --no-strict"
            )
        return self.manager.install(setup, strict=wanted)

    def start(self) -> None:
        """Starts the service. A daemon that runs outside of it ends first, unless it is busy (AlreadyRunning)."""
        self.manager.require()
        if not self._own().present:
            raise ServiceManagerFailed("the service is not installed", hint="run: agentgw service install --now")
        if not self.manager.is_listening():
            self._end_other_daemon()
        self.manager.start()

    def stop(self) -> None:
        """Stops the service until the next start or login."""
        self.manager.require()
        self._own()
        self.manager.stop()

    def uninstall(self) -> tuple[str, ...]:
        """Removes it; gives the files that were there."""
        self._own()
        return self.manager.uninstall()

    def installed(self) -> Installed:
        """State of its files. Start at login is compared with nothing: it was decided by the jobs of that time."""
        return self.manager.installed(self.setup(at_login=self._starts_at_login()))

    def _own(self) -> Installed:
        """State of the files. Raises ConfigRefused when they are of another AGENTGW_HOME, whose daemon is not ours."""
        found = self.installed()
        if found.elsewhere:
            raise ConfigRefused(
                f"the installed service does not listen at {self.paths.socket}",
                hint="it is of another AGENTGW_HOME, or of none: set it as it was at its install",
            )
        return found

    def _starts_at_login(self) -> bool:
        return self.manager.installed(self.setup(at_login=True)).at_login

    def _end_other_daemon(self) -> None:
        try:
            client = connect_running(self.paths)
        except DaemonUnreachable:
            return
        with client:
            reason = stop_daemon(client, self.paths, upgrade=True)
        if reason:
            raise AlreadyRunning(
                f"a daemon runs outside of the service and is busy: {reason}", hint="try later, or run: agentgw stop"
            )


def has_enabled_jobs(paths: Paths) -> bool:
    """True when there is a job to be fired; asks the daemon, as only it reads the jobs file."""
    if not os.path.exists(os.path.join(paths.config_dir, "jobs.yaml")):
        return False
    with connect_client(paths) as client:
        return bool(enabled_jobs(client))


def enabled_jobs(client: Client) -> int:
    """Number of jobs that the daemon is to fire; none where it knows of no jobs."""
    try:
        jobs = client.call("job.list")["jobs"]
    except MethodNotFound:
        return 0
    return sum(bool(job.get("enabled")) for job in jobs)


def problems(service: DaemonService, jobs: int) -> list[tuple[str, str, str]]:
    """Faults of the service, as severity, message and fix; `jobs` are those that are enabled."""
    again = "agentgw service install"
    try:
        installed = service.installed()
    except AgentgwError as error:
        return [("error", error.message, error.hint)]
    if not installed.present:
        if jobs:
            return [("warning", f"{_jobs(jobs)}, and nothing starts the daemon at login", again)]
        return [("ok", "no service is installed; the first command starts the daemon", "")]
    if installed.elsewhere:
        return [("info", "the installed service is of another AGENTGW_HOME", "")]
    found = []
    if installed.program and not os.access(installed.program, os.X_OK):
        found.append(("error", f"the service starts {installed.program}, which is not there", again))
    found += [
        ("warning", f"{path} is {'missing' if state == 'missing' else 'not what this version writes'}", again)
        for path, state in installed.files
        if state != "current"
    ]
    if not installed.enabled:
        found.append(("warning", "the service is installed and not enabled", again))
    if jobs and not installed.at_login:
        found.append(("warning", f"{_jobs(jobs)}, and the service waits for a request after login", again))
    return found or [("ok", "the service is as this version writes it", "")]


def _jobs(count: int) -> str:
    return "1 job is enabled" if count == 1 else f"{count} jobs are enabled"
