"""launchd on macOS: one agent with a socket. Written from launchd.plist(5) and launchctl(1); not run on a Mac."""

from __future__ import annotations

import os
import plistlib
from xml.parsers.expat import ExpatError

from agentgw.local.service import files
from agentgw.local.service.files import Installed
from agentgw.local.service.programs import ask, order
from agentgw.local.service.units import LABEL, agent_plist
from agentgw.protocol.errors import ConfigRefused, ServiceManagerFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from agentgw.local.service.setup import ServiceSetup

_STOP_S: Final = 60.0


class LaunchdManager:
    """The agent of one user. It is enabled by being in its folder: launchd loads it at login."""

    name = "launchd"
    is_strict = False

    def __init__(self, home: str, state_dir: str) -> None:
        self.folder = os.path.join(home, "Library", "LaunchAgents")
        self._plist = os.path.join(self.folder, f"{LABEL}.plist")
        # Words of the daemon before it has a log of its own.
        self._log = os.path.join(state_dir, "launchd.log")
        self._domain = f"gui/{os.getuid()}"

    def require(self) -> None:
        """Raises ServiceManagerFailed when there is no manager to talk to."""
        answer = ask("launchctl", "print", self._domain)
        if answer.status:
            raise ServiceManagerFailed(
                f"launchd does not manage services of this user: {answer.reason}", hint="log in on the Mac's screen"
            )

    def probe(self, setup: ServiceSetup) -> str:
        """The reason why there is no strict variant: launchd has nothing of the kind."""
        return "launchd has no such restrictions"

    def install(self, setup: ServiceSetup, *, strict: bool) -> tuple[str, ...]:
        """Writes the agent; gives the files that were written."""
        text = agent_plist(setup, self._log)
        there = _socket_of(_values(files.read(self._plist) or ""))
        if there and there != setup.socket:
            raise ConfigRefused(
                f"the installed service listens at {there}, not at {setup.socket}",
                hint="with its AGENTGW_HOME, or none, remove it first: agentgw service uninstall",
            )
        return (self._plist,) if files.write(self._plist, text) else ()

    def uninstall(self) -> tuple[str, ...]:
        """Stops the service and removes its files; gives what was removed."""
        if files.read(self._plist) is None:
            return ()
        ask("launchctl", "bootout", f"{self._domain}/{LABEL}", timeout_s=_STOP_S)
        files.remove(self._plist)
        try:
            os.unlink(self._log)
        except OSError:
            return (self._plist,)
        return (self._plist, self._log)

    def start(self) -> None:
        """Loads the agent anew and starts the daemon."""
        # The loaded service may be of an earlier text.
        ask("launchctl", "bootout", f"{self._domain}/{LABEL}", timeout_s=_STOP_S)
        order("launchctl", "bootstrap", self._domain, self._plist)
        order("launchctl", "kickstart", f"{self._domain}/{LABEL}")

    def stop(self) -> None:
        """Unloads it until the next login or start."""
        order("launchctl", "bootout", f"{self._domain}/{LABEL}", timeout_s=_STOP_S)

    def is_listening(self) -> bool:
        """True while the manager holds the socket."""
        return self.activity()["socket"] == "active"

    def activity(self) -> dict[str, str]:
        """State of socket and daemon, in systemd's words."""
        answer = ask("launchctl", "print", f"{self._domain}/{LABEL}")
        loaded = answer.status == 0
        running = loaded and "state = running" in answer.said
        return {"socket": "active" if loaded else "inactive", "daemon": "active" if running else "inactive"}

    def installed(self, setup: ServiceSetup) -> Installed:
        """State of the files, compared with what this installation would write. Asks no manager."""
        found = _values(_text(self._plist))
        command = found.get("ProgramArguments")
        return Installed(
            files=((self._plist, files.state_of(self._plist, agent_plist(setup, self._log))),),
            elsewhere=_socket_of(found) not in ("", setup.socket),
            enabled=bool(found),
            at_login=bool(found.get("RunAtLoad")),
            program=str(command[0]) if isinstance(command, list) and command else "",
        )


def _socket_of(values: dict[str, Any]) -> str:
    try:
        return str(values["Sockets"]["rpc"]["SockPathName"])
    except (LookupError, TypeError):
        return ""


def _text(path: str) -> str:
    try:
        return files.read(path) or ""
    except ConfigRefused:
        return ""


def _values(text: str) -> dict[str, Any]:
    """The property list; empty when it is none."""
    try:
        found = plistlib.loads(text.encode())
    except (plistlib.InvalidFileException, ExpatError, ValueError, LookupError):
        return {}
    return found if isinstance(found, dict) else {}
