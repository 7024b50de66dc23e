"""`agentgw restart`: stop and start."""

from __future__ import annotations

from agentgw.cli.commands.start import run as start
from agentgw.cli.commands.stop import stop
from agentgw.local.environment import for_daemon
from agentgw.local.lifetime.spawn import daemon_command
from agentgw.local.paths import Paths
from agentgw.protocol.errors import ConfigRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Final

# Importing what reads it takes a second on a slow disk.
_CHECK_TIMEOUT_S: Final = 30.0


def configure(parser: ArgumentParser) -> None:
    """No arguments."""


def run(args: Namespace) -> int:
    """Stops the daemon if one runs, starts it, prints the new pid. Raises ConfigRefused before anything is stopped."""
    check_configuration(hint="nothing was stopped")
    stop(Paths())
    return start(args)


def check_configuration(*, hint: str = "") -> None:
    """Has the program that would be started read the configuration. Raises ConfigRefused for what it refuses."""
    import subprocess

    try:
        done = subprocess.run(
            daemon_command("--check"), env=for_daemon(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, timeout=_CHECK_TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        # What keeps it from reading its configuration is told when it does not start.
        return
    if done.returncode == ConfigRefused.exit_status:
        reason = done.stderr.decode("utf-8", "replace").strip().removeprefix("agentgw: ")
        raise ConfigRefused(reason, hint=hint)
