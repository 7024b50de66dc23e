"""The file of `--usage-file`: what a turn took, as JSON, whether it went well or not."""

from __future__ import annotations

import json

from agentgw.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class UsageFile:
    """A file that is opened before anything is asked, so that a path that does not do costs nothing."""

    def __init__(self, path: str) -> None:
        """Empties or makes the file. Raises UsageError."""
        self._path = path
        try:
            self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115  # until the end of the command
        except (OSError, ValueError) as error:
            raise self._unwritable(error) from None

    def write(self, facts: dict[str, Any], *, exit_status: int, error: str = "") -> None:
        """Writes what is known of the turn and how the command ends. Raises UsageError."""
        told = {"exit_status": exit_status, **facts, **({"error": error} if error else {})}
        try:
            with self._file as file:
                file.write(json.dumps(told, indent=1) + "\n")
        except OSError as failed:
            raise self._unwritable(failed) from None

    def _unwritable(self, error: OSError | ValueError) -> UsageError:
        return UsageError(
            f"{self._path} cannot be written: {getattr(error, 'strerror', None) or error}",
            hint="give --usage-file a path that can be",
        )
