"""The user's editor, for a file of ours."""

from __future__ import annotations

import os

from agentgw.local.environment import Environment
from agentgw.protocol.errors import UsageError


def edited(text: str) -> str:
    """The text as the user's editor leaves it. Raises UsageError as `edit` does."""
    import tempfile
    from contextlib import suppress

    descriptor, path = tempfile.mkstemp(suffix=".md")
    try:
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
        edit(path)
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace").removesuffix("\n")
    except OSError as error:
        raise UsageError(f"the text could not be handed to an editor: {error.strerror}") from None
    finally:
        with suppress(FileNotFoundError):  # an editor may take it away
            os.unlink(path)


def edit(path: str) -> None:
    """Opens the file and returns when the editor ends. Raises UsageError when it cannot be started or fails."""
    import shlex
    import subprocess

    named = Environment().editor
    try:
        editor = shlex.split(named) or ["vi"]
    except ValueError as error:
        # Quotes that do not end.
        raise UsageError(f"EDITOR cannot be read as a command: {error}", hint="set EDITOR, such as EDITOR=vi") from None
    try:
        status = subprocess.run([*editor, path], check=False).returncode
    except OSError as error:
        raise UsageError(f"the editor {editor[0]} cannot be started: {error.strerror}", hint="set EDITOR") from None
    if status:
        how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
        raise UsageError(f"the editor {editor[0]} ended {how}", hint="nothing was read again")
