"""`agentgw serve`: becomes the daemon, in the foreground."""

from __future__ import annotations

import os

from agentgw.local.spawn import daemon_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import NoReturn


def configure(parser: ArgumentParser) -> None:
    """No arguments."""


def run(args: Namespace) -> NoReturn:
    """Becomes the daemon."""
    command = daemon_command("--foreground")
    os.execv(command[0], command)
