"""Checks of the system around the daemon: SQLite's version, ours, the clock, limits, logging out."""

from __future__ import annotations

import importlib.metadata
import os
import pwd
import resource
import sqlite3
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import agentgw
from agentgw_daemon.doctor.context import DoctorContext, Verdict, error, fine, info, warning
from agentgw_daemon.lifecycle.process import boottime
from agentgw_daemon.storage.sqlite.connection import has_wal_reset_bug

# Earlier than this code was written: the clock of a machine without a battery.
_EARLIEST: Final = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
_JUMP_S: Final = 60.0
# Beside its connections: database, log, workers with two pipes each, trio's own.
_OTHER_DESCRIPTORS: Final = 64
_SYSTEMD: Final = "/run/systemd/system"
_LINGER: Final = "/var/lib/systemd/linger"


def check_sqlite(context: DoctorContext) -> Iterable[Verdict]:
    """Checks for a bug of this SQLite that the daemon works around."""
    version = sqlite3.sqlite_version
    if has_wal_reset_bug(sqlite3.sqlite_version_info):
        return (info(f"SQLite {version} has the WAL-reset bug; one connection for all writes keeps it from mattering"),)
    return (fine(f"SQLite {version}"),)


def check_version(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that the package was not replaced under the running daemon."""
    running = agentgw.__version__
    try:
        installed = importlib.metadata.version("agentgw")
    except importlib.metadata.PackageNotFoundError:
        return (info(f"{running} runs, and no installed package says so"),)
    if installed != running:
        return (warning(f"{running} runs, {installed} is installed", "agentgw restart"),)
    return (fine(f"agentgw {running}, Python {sys.version.split()[0]}"),)


def check_clock(context: DoctorContext) -> Iterable[Verdict]:
    """The clock is plausible and was not set while the daemon ran."""
    now = time.time()
    if now < _EARLIEST:
        return (error(f"the clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d}", "set the clock"),)
    started = datetime.fromisoformat(context.started.started_at).timestamp()
    # Of the clock that also counts while the machine sleeps; `started_at` has whole seconds.
    jumped = (now - started) - (boottime() - context.started.started_boottime_s)
    if abs(jumped) > _JUMP_S:
        return (info(f"the clock was set by {jumped:+.0f} s since the daemon started"),)
    return (fine("plausible"),)


def check_descriptors(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that as many connections as are allowed can also be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = context.config.settings.limits.connections + _OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        return (warning(f"{soft} file descriptors are allowed, {wanted} may be needed", f"ulimit -n {wanted}"),)
    return (fine(f"{'unlimited' if soft == resource.RLIM_INFINITY else soft} file descriptors"),)


def check_linger(context: DoctorContext) -> Iterable[Verdict]:
    """Checks that systemd does not remove the runtime directory, and end the daemon, at logout."""
    if not os.path.isdir(_SYSTEMD) or not context.started.paths.run_dir.startswith("/run/user/"):
        return (fine("logging out does not end the daemon"),)
    user = pwd.getpwuid(os.getuid()).pw_name
    if os.path.exists(os.path.join(_LINGER, user)):
        return (fine(f"{user} lingers: the daemon outlives a logout"),)
    return (info("the daemon ends at logout", "loginctl enable-linger keeps it"),)
