"""The daemon's command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from agentgw import __version__
from agentgw.protocol.errors import UsageError
from agentgw.protocol.records.schema import record

# The port where `--host` is given without one.
DEFAULT_PORT: Final = 8080


@record
class DaemonOptions:
    """Options of the daemon's command line."""

    activated: bool
    foreground: bool
    prewarm: bool
    pidfile: str
    # False: no job starts by itself.
    scheduler: bool
    # The jobs file, where it is another than that of the configuration folder.
    scheduler_config: str
    # Settings that were given here, by their keys.
    flags: Mapping[str, Any]
    check: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint="agentgw-daemon --help lists the flags")


def parse(arguments: Sequence[str]) -> DaemonOptions:
    """The options. Raises UsageError; `--help` and `--version` print and exit."""
    parser = _Parser(
        prog="agentgw-daemon",
        description="The agentgw daemon. agentgw starts it by itself; agentgw serve runs it in the foreground.",
        epilog="example: agentgw-daemon --foreground",
        allow_abbrev=False,
    )
    parser.add_argument("--activated", action="store_true", help="take the listening socket from descriptor 3")
    parser.add_argument("--foreground", action="store_true", help="show the log on standard error")
    parser.add_argument("--prewarm", action="store_true", help="load the default model at once")
    parser.add_argument("--pidfile", metavar="FILE", default="", help="write the process id to FILE")
    parser.add_argument("--no-scheduler", action="store_true", help="start no job by itself")
    parser.add_argument("--scheduler-config", metavar="FILE", default="", help="the jobs file")
    parser.add_argument("--http", action="store_true", help="serve HTTP on http.sock too")
    parser.add_argument("--port", metavar="P", type=int, help="serve HTTP on this TCP port too, with a key")
    parser.add_argument("--host", metavar="H", help="the address of that port, 127.0.0.1 unless given")
    parser.add_argument("--check", action="store_true", help="read the configuration, say what is wrong with it, end")
    parser.add_argument("--version", action="version", version=f"agentgw {__version__}")
    found = parser.parse_args(arguments)
    return DaemonOptions(
        activated=found.activated,
        foreground=found.foreground,
        prewarm=found.prewarm,
        # The daemon changes to / before it writes the file.
        pidfile=os.path.abspath(found.pidfile) if found.pidfile else "",
        scheduler=not found.no_scheduler,
        scheduler_config=os.path.abspath(found.scheduler_config) if found.scheduler_config else "",
        flags=_http_flags(found),
        check=found.check,
    )


def _http_flags(found: argparse.Namespace) -> Mapping[str, Any]:
    flags: dict[str, Any] = {}
    if found.http or found.port is not None or found.host is not None:
        flags["http.enabled"] = True
    if found.host is not None:
        flags.update({"http.host": found.host, "http.port": DEFAULT_PORT})
    if found.port is not None:
        flags["http.port"] = found.port
    return flags
