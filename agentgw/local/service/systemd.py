"""systemd's user manager: a socket unit, a service unit, and a drop-in where the user wants it strict."""

from __future__ import annotations

import os
import re

from agentgw.local.service import files
from agentgw.local.service.files import Installed
from agentgw.local.service.programs import NO_SERVICE, ask, order
from agentgw.local.service.units import UnitDirectories, service_unit, socket_unit, strict_drop_in
from agentgw.protocol.errors import ConfigRefused, ServiceManagerFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from agentgw.local.environment import Environment
    from agentgw.local.service.setup import ServiceSetup

_SOCKET: Final = "agentgw.socket"
_SERVICE: Final = "agentgw.service"
# The unit allows five minutes for a start, and the daemon's grace for a stop.
_START_S: Final = 330.0
_STOP_S: Final = 120.0
_FAILED: Final = "see: journalctl --user -u agentgw"


class SystemdManager:
    """The units of one user."""

    name = "systemd"

    def __init__(self, environment: Environment, home: str) -> None:
        config = environment.config_home if os.path.isabs(environment.config_home) else os.path.join(home, ".config")
        self.folder = os.path.join(config, "systemd", "user")
        self._places = UnitDirectories(home=home, runtime=f"/run/user/{os.getuid()}")
        self._socket = os.path.join(self.folder, _SOCKET)
        self._service = os.path.join(self.folder, _SERVICE)
        self._drop_ins = os.path.join(self.folder, f"{_SERVICE}.d")
        self._strict = os.path.join(self._drop_ins, "strict.conf")
        self._links = (
            os.path.join(self.folder, "sockets.target.wants", _SOCKET),
            os.path.join(self.folder, "default.target.wants", _SERVICE),
        )

    def require(self) -> None:
        """Raises ServiceManagerFailed when there is no manager to talk to."""
        answer = ask("systemctl", "--user", "show-environment")
        if answer.status:
            raise ServiceManagerFailed(
                f"systemd does not manage services of this user: {answer.reason}",
                hint=f"loginctl enable-linger starts it where systemd runs; {NO_SERVICE}",
            )

    @property
    def is_strict(self) -> bool:
        """True when the strict drop-in is there."""
        return os.path.lexists(self._strict)

    def probe(self, setup: ServiceSetup) -> str:
        """The reason why this system cannot run the strict drop-in; empty when it can.

        The daemon's own program is tried, under all of its settings: namespaces may be forbidden, and a private /tmp
        may hide the very program.
        """
        # The manager expands `%h` in files only.
        text = strict_drop_in(setup, UnitDirectories(home="", runtime=""))
        settings = [word for line in text.splitlines() if re.match(r"\w+=", line) for word in ("-p", line)]
        probed = ask(
            "systemd-run", "--user", "--wait", "--collect", "--quiet", *settings, "--", *setup.command, "--version"
        )
        return probed.reason if probed.status else ""

    def install(self, setup: ServiceSetup, *, strict: bool) -> tuple[str, ...]:
        """Writes and enables the units; gives the files that were written or removed."""
        texts = self._texts(setup, strict=strict)
        self._refuse_another_home(texts[self._socket])
        # Before the first is written, so that a file of somebody else's leaves everything as it was.
        for path in (*texts, self._strict):
            files.read(path)
        changed = [path for path, text in texts.items() if files.write(path, text)]
        if not strict and files.remove(self._strict):
            changed.append(self._strict)
            files.remove_if_empty(self._drop_ins)
        order("systemctl", "--user", "daemon-reload")
        order("systemctl", "--user", "enable", _SOCKET, hint=f"is {self.folder} where systemd looks for units?")
        order("systemctl", "--user", "enable" if setup.at_login else "disable", _SERVICE)
        return tuple(changed)

    def uninstall(self) -> tuple[str, ...]:
        """Stops the service and removes its files, also where no manager runs; gives what was removed."""
        found = [path for path in (self._strict, self._service, self._socket) if files.read(path) is not None]
        try:
            self.require()
        except ServiceManagerFailed:
            reached = False
        else:
            reached = True
        if found and reached:
            order("systemctl", "--user", "disable", "--now", _SOCKET, _SERVICE, timeout_s=_STOP_S)
        for link in self._links:
            files.remove_link(link)
        removed = tuple(path for path in found if files.remove(path))
        for folder in (self._drop_ins, self.folder, os.path.dirname(self.folder)):
            files.remove_if_empty(folder)
        if removed and reached:
            order("systemctl", "--user", "daemon-reload")
            ask("systemctl", "--user", "reset-failed", _SOCKET, _SERVICE)
        return removed

    def start(self) -> None:
        """Starts the socket and the daemon behind it."""
        # After a failure both refuse until they are told to forget it.
        ask("systemctl", "--user", "reset-failed", _SOCKET, _SERVICE)
        order("systemctl", "--user", "start", _SOCKET, _SERVICE, timeout_s=_START_S, hint=_FAILED)

    def stop(self) -> None:
        """Stops both."""
        order("systemctl", "--user", "stop", _SOCKET, _SERVICE, timeout_s=_STOP_S)

    def is_listening(self) -> bool:
        """True while the manager holds the socket."""
        return self.activity()["socket"] == "active"

    def activity(self) -> dict[str, str]:
        """State of socket and daemon, in the manager's words: `active`, `inactive`, `failed`."""
        states = ask("systemctl", "--user", "is-active", _SOCKET, _SERVICE).said.split()
        socket, service = states if len(states) == 2 else ("unknown", "unknown")
        return {"socket": socket, "daemon": service}

    def installed(self, setup: ServiceSetup) -> Installed:
        """State of the files, compared with what this installation would write. Asks no manager."""
        socket_link, service_link = self._links
        texts = self._texts(setup, strict=self.is_strict)
        there = _listen(_text(self._socket))
        return Installed(
            files=tuple((path, files.state_of(path, text)) for path, text in texts.items()),
            elsewhere=there not in ("", _listen(texts[self._socket])),
            enabled=os.path.lexists(socket_link),
            at_login=os.path.lexists(service_link),
            program=self._program(),
        )

    def _texts(self, setup: ServiceSetup, *, strict: bool) -> dict[str, str]:
        texts = {
            self._socket: socket_unit(setup, self._places),
            self._service: service_unit(setup, self._places),
        }
        if strict:
            texts[self._strict] = strict_drop_in(setup, self._places)
        return texts

    def _refuse_another_home(self, text: str) -> None:
        """One service a user: that of another AGENTGW_HOME is not replaced by accident."""
        found = files.read(self._socket)
        there, here = _listen(found or ""), _listen(text)
        if there and there != here:
            raise ConfigRefused(
                f"the installed service listens at {there}, not at {here}",
                hint="with its AGENTGW_HOME, or none, remove it first: agentgw service uninstall",
            )

    def _program(self) -> str:
        text = _text(self._service)
        found = re.search(r'^ExecStart=(?:"((?:[^"\\]|\\.)*)"|(\S+))', text, re.MULTILINE)
        if found is None:
            return ""
        word = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]
        return word.replace("%h", self._places.home).replace("%%", "%")


def _text(path: str) -> str:
    try:
        return files.read(path) or ""
    except ConfigRefused:
        return ""


def _listen(text: str) -> str:
    found = re.search(r"^ListenStream=(.*)$", text, re.MULTILINE)
    return found[1] if found else ""
