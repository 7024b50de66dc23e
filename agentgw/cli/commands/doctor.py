"""`agentgw doctor`: checks everything and says what to do. Works when the daemon cannot start.

Directories, socket and lock are checked here; the daemon checks the rest itself, because nobody else may open the
database.
"""

from __future__ import annotations

import os
import sys

from agentgw.cli import output
from agentgw.cli.commands import add_json
from agentgw.local.connect import connect_client
from agentgw.local.directories import advice_about, open_private, quoted, refuse_sudo
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.local.service.manager import DaemonService, enabled_jobs, problems
from agentgw.local.sockets import connect_own
from agentgw.protocol.errors import AgentgwError, DirectoryRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    Finding = dict[str, Any]

# Columns beside the name of a check that most findings need.
_LEAST_ROOM = 40
# systemd makes the directory when a session begins: `su` and `sudo -i` begin none.
_RUNTIME_FIX = "log in through a session that sets XDG_RUNTIME_DIR (ssh or a desktop, not su)"


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    add_json(parser)


def run(args: Namespace) -> int:
    """Prints every finding; exit status 1 when one is an error."""
    findings = examine()
    ok = all(finding["severity"] != "error" for finding in findings)
    if args.json:
        output.json_line({"ok": ok, "findings": findings})
    else:
        _show(findings)
    return 0 if ok else 1


def examine() -> list[Finding]:
    """The findings of this side, then the daemon's if it can be had. Of a daemon elsewhere the other side is there."""
    try:
        refuse_sudo(Environment())
        paths = Paths()
    except DirectoryRefused as error:
        return [_failure("client.account", error)]
    if paths.other_url:
        return _daemon(paths)[0]
    findings = [*_directories(paths), _runtime(paths), _socket(paths), _lock(paths)]
    # One that is refused here would be refused again by the start, in the same words.
    if any(finding["severity"] == "error" for finding in findings):
        return findings + _service(paths, 0)
    found, jobs = _daemon(paths)
    return [*findings, *_service(paths, jobs), *without_repeats(found, findings)]


def without_repeats(theirs: list[Finding], ours: list[Finding]) -> list[Finding]:
    """The daemon's findings without what this side has said in the same words: one fix for one thing."""
    said = {finding["message"] for finding in ours if finding["severity"] != "ok"}
    return [finding for finding in theirs if finding["message"] not in said]


def _directories(paths: Paths) -> list[Finding]:
    findings = []
    for path in paths.directories:
        try:
            os.close(open_private(path))
            findings.append(_finding("client.directories", "ok", f"{path} is private"))
        except FileNotFoundError:
            findings.append(_finding("client.directories", "info", f"{path} is made when it is needed"))
        except DirectoryRefused as error:
            findings.append(_failure("client.directories", error))
    return findings


def _runtime(paths: Paths) -> Finding:
    if paths.warning:
        return _finding("client.runtime", "warning", paths.warning, _RUNTIME_FIX)
    return _finding("client.runtime", "ok", f"the socket belongs at {paths.socket}")


def _socket(paths: Paths) -> Finding:
    try:
        connection = connect_own(paths)
    except AgentgwError as error:
        return _failure("client.socket", error)
    if connection is not None:
        connection.close()
        return _finding("client.socket", "ok", "a daemon listens")
    if not os.path.lexists(paths.socket):
        return _finding("client.socket", "info", "no daemon is running")
    if os.lstat(paths.socket).st_mode & 0o170000 != 0o140000:
        return _finding("client.socket", "error", f"{paths.socket} is not a socket", f"rm {paths.socket}")
    return _finding("client.socket", "info", "a daemon that is gone left its socket; the next start replaces it")


def _lock(paths: Paths) -> Finding:
    import fcntl

    try:
        descriptor = os.open(paths.spawn_lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _finding("client.lock", "ok", "nobody is starting the daemon")
    except OSError as error:
        fix = advice_about(error, f"rm {quoted(paths.spawn_lock)}")
        return _finding("client.lock", "error", f"{paths.spawn_lock}: {error.strerror}", fix)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _finding("client.lock", "warning", "another client is starting the daemon just now")
    finally:
        os.close(descriptor)
    return _finding("client.lock", "ok", "nobody is starting the daemon")


def _daemon(paths: Paths) -> tuple[list[Finding], int]:
    """The findings of the daemon, and how many jobs it is to fire."""
    try:
        with connect_client(paths) as client:
            daemon = client.daemon
            jobs = enabled_jobs(client)
            findings: list[Finding] = client.call("daemon.doctor")["findings"]
    except AgentgwError as error:
        return [_failure("client.daemon", error)], 0
    where = f" at {client.where}" if client.where else ""
    found = _finding("client.daemon", "ok", f"version {daemon['version']} answers{where}, pid {daemon['pid']}")
    return [found, *findings], jobs


def _service(paths: Paths, jobs: int) -> list[Finding]:
    return [_finding("client.service", *problem) for problem in problems(DaemonService(paths), jobs)]


def _show(findings: list[Finding]) -> None:
    width = max(len(finding["check"]) for finding in findings)
    indent = width + 11
    narrow = output.is_terminal(sys.stdout) and output.columns() - indent < _LEAST_ROOM
    for finding in findings:
        lead = f"{finding['severity']:7}  {finding['check'].ljust(width)}"
        if narrow:
            # Beside it paths and commands would be parted.
            output.write(f"{lead.rstrip()}\n")
            indent, lead = output.NARROW_INDENT, ""
        output.paragraph(finding["message"], indent, lead)
        if finding.get("fix"):
            output.paragraph(f"fix: {finding['fix']}", indent)
    output.flush()
    errors = sum(finding["severity"] == "error" for finding in findings)
    warnings = sum(finding["severity"] == "warning" for finding in findings)
    output.line(f"{len(findings)} checks, {errors} errors, {warnings} warnings")


def _finding(check: str, severity: str, message: str, fix: str = "") -> Finding:
    made: Finding = {"check": check, "severity": severity, "message": message}
    if fix:
        made["fix"] = fix
    return made


def _failure(check: str, error: AgentgwError) -> Finding:
    return _finding(check, "error", error.message, error.hint)
