"""The user's own command that takes a message on its standard input: sendmail, a script, a text message."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import trio

from agentgw_daemon.tools.processes.command_environment import command_environment
from agentgw_daemon.tools.processes.launch import launch_of
from agentgw_daemon.tools.tool import CallFailed

log = logging.getLogger(__name__)

# A server that is asked over a slow line; nobody waits for it here.
TIME_S: Final = 60.0


async def mail(command: Sequence[str], text: str, environ: Mapping[str, str], time_s: float = TIME_S) -> bool:
    """Give the command the text. Tells whether it ended with status 0; what went wrong is in the log.

    No shell reads anything. A command that takes too long is ended with all that it started.
    """
    home = environ.get("HOME") or "/"
    variables = command_environment(environ, home, "mail")
    try:
        with trio.fail_after(time_s):
            launch = await trio.to_thread.run_sync(launch_of, command, variables["PATH"], home)
            done = await trio.run_process(
                list(command), executable=launch.path, stdin=text.encode(), env=variables, cwd=home, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, deliver_cancel=_end,
            )  # fmt: skip
    except trio.TooSlowError:
        log.warning("the mail command %s did not end within %g s", command[0], time_s)
        return False
    except CallFailed as failed:
        log.warning("the mail command %s", failed.text)
        return False
    except (OSError, ValueError) as error:
        # A ValueError is a NUL in a word.
        log.warning("the mail command %s cannot be run: %s", command[0], getattr(error, "strerror", None) or error)
        return False
    if done.returncode:
        log.warning("the mail command %s ended with status %d", command[0], done.returncode)
    return done.returncode == 0


async def _end(process: trio.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
