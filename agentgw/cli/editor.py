"""The user's editor, for a file of ours."""

from __future__ import annotations

from agentgw.local.environment import Environment
from agentgw.protocol.errors import UsageError


def edit(path: str) -> None:
    """Opens the file and returns when the editor ends. Raises UsageError when it cannot be started or fails."""
    import shlex
    import subprocess

    editor = shlex.split(Environment().editor or "vi")
    try:
        status = subprocess.run([*editor, path], check=False).returncode
    except OSError as error:
        raise UsageError(f"the editor {editor[0]} cannot be started: {error.strerror}", hint="set EDITOR") from None
    if status:
        raise UsageError(f"the editor {editor[0]} ended with exit status {status}", hint="nothing was read again")
