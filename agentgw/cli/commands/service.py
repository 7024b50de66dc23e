"""`agentgw service`: the daemon as a service of systemd or launchd, so that it is there before anybody asks."""

from __future__ import annotations

from agentgw import __version__
from agentgw.cli import output
from agentgw.cli.commands import Action, add_json
from agentgw.local.connect import connect_running
from agentgw.local.paths import Paths
from agentgw.local.service.manager import DaemonService
from agentgw.protocol.errors import AgentgwError, ServiceManagerFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

# Exit statuses of `status`, beside 0.
_STALE: Final = 1
_NOT_INSTALLED: Final = 3


def _configure_install(parser: ArgumentParser) -> None:
    from argparse import BooleanOptionalAction

    parser.add_argument("--now", action="store_true", help="start it at once, not at the next login")
    parser.add_argument(
        "--strict", action=BooleanOptionalAction, default=None,
        help="systemd: nothing but agentgw's own directories can be written, by tools neither, and no device is seen",
    )  # fmt: skip


def _configure_now(parser: ArgumentParser) -> None:
    parser.add_argument("--now", action="store_true", help="the default")


def install(args: Namespace) -> int:
    """Writes and enables the service; the same again changes nothing."""
    service = DaemonService(Paths())
    changed = service.install(strict=args.strict)
    for path in changed:
        output.line(path)
    installed = service.installed()
    when = "at login" if installed.at_login else "with the first request after login"
    output.notice(f"{'installed' if changed else 'installed already'}: the daemon starts {when}")
    if args.now:
        service.start()
    elif not service.manager.is_listening():
        output.notice("to start it now: agentgw service start")
    elif changed:
        output.notice("what changed holds from the next start: agentgw service stop && agentgw service start")
    return 0


def uninstall(args: Namespace) -> int:
    """Stops and removes it; that there is none is no error."""
    removed = DaemonService(Paths()).uninstall()
    for path in removed:
        output.line(path)
    output.notice("removed; the daemon starts by itself again" if removed else "no service is installed")
    return 0


def start(args: Namespace) -> int:
    """Starts the service."""
    DaemonService(Paths()).start()
    output.line("started")
    return 0


def stop(args: Namespace) -> int:
    """Stops the service; the next command starts a daemon of its own."""
    DaemonService(Paths()).stop()
    output.line("stopped")
    return 0


def status(args: Namespace) -> int:
    """Shows what is installed and what runs; exit status 3 without a service, 1 when it is not this version's."""
    service = DaemonService(Paths())
    installed = service.installed()
    try:
        activity = service.manager.activity()
    except ServiceManagerFailed as error:
        activity = {"socket": error.message, "daemon": error.message}
    # A connection to a socket of the manager's would start what only is to be looked at.
    waits = activity["socket"] == "active" and activity["daemon"] != "active"
    running = "" if waits else _running_version(service.paths)
    found: dict[str, object] = {
        "manager": service.manager.name,
        "installed": installed.present,
        "current": installed.current,
        "enabled": installed.enabled,
        "at_login": installed.at_login,
        "strict": service.manager.is_strict,
        **activity,
        "program": installed.program,
        "version": __version__,
        "running_version": running or None,
        "files": [{"path": path, "state": state} for path, state in installed.files],
    }
    if args.json:
        output.json_line(found)
    else:
        _show(found)
    if not installed.present:
        return _NOT_INSTALLED
    return 0 if installed.current and running in ("", __version__) else _STALE


def _show(found: dict[str, object]) -> None:
    files = [f"{file['path']} ({file['state']})" for file in _listed(found["files"])]
    if not found["installed"]:
        output.own_lines("not installed. to install it: agentgw service install")
        return
    starts = "at login" if found["at_login"] else "with the first request" if found["enabled"] else "not enabled"
    running = found["running_version"] or "none"
    other = "" if running in ("none", found["version"]) else f", but {found['version']} is installed: agentgw restart"
    output.pairs(
        (
            ("manager", f"{found['manager']}{', strict' if found['strict'] else ''}"),
            ("starts", starts),
            ("socket", found["socket"]),
            ("daemon", found["daemon"]),
            ("version", f"{running}{other}"),
            ("program", found["program"]),
            ("files", files),
        )
    )
    if not found["current"]:
        output.notice("the files are not what this version writes. to write them again: agentgw service install")


def _listed(value: object) -> list[dict[str, str]]:
    return value if isinstance(value, list) else []


def _running_version(paths: Paths) -> str:
    """The version of the daemon that runs; empty without one."""
    try:
        with connect_running(paths) as client:
            client.limit(10)
            client.greet()
            return str(client.daemon.get("version") or "")
    except AgentgwError:
        return ""


ACTIONS: Final = {
    "status": Action(status, "what is installed and what runs", "agentgw service status --json", add_json),
    "install": Action(install, "write and enable it", "agentgw service install --now", _configure_install),
    "uninstall": Action(uninstall, "stop and remove it", "agentgw service uninstall", _configure_now),
    "start": Action(start, "start it", "agentgw service start", _configure_now),
    "stop": Action(stop, "stop it until the next login", "agentgw service stop", _configure_now),
}
