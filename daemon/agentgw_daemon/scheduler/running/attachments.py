"""Files that a job hands along with its message: read when the run starts, within bounds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentgw.protocol.types import File
from agentgw_daemon.knowledge.sources import shown
from agentgw_daemon.system.text_file import UnreadableFile, read_text_file

# Half of what one message may have.
MOST_BYTES: Final = 512 * 1024
MOST_FILES: Final = 100
# Names of files that were left out, told to the model.
_MOST_NAMED: Final = 20


class AttachmentMissing(ValueError):
    """A file of the job that cannot be read; the message is one line."""


def read_attachments(paths: Sequence[str]) -> tuple[File, ...]:
    """The files of these paths, and those directly in folders among them. Raises AttachmentMissing.

    Of a folder hidden files are left out, and those that are no text or too many; that they were is told in a file of
    its own.
    """
    files: list[File] = []
    left_out: list[str] = []
    room = MOST_BYTES
    for path in paths:
        is_folder = os.path.isdir(path)
        for found in _in_folder(path) if is_folder else (path,):
            if is_folder and len(files) >= MOST_FILES:
                left_out.append(shown(found))
                continue
            try:
                _, text = read_text_file(Path(found), room)
            except (OSError, UnreadableFile) as error:
                if not is_folder:
                    raise _missing(found, error) from None
                left_out.append(shown(found))
                continue
            room -= len(text.encode())
            files.append(File(name=shown(found), text=text))
    if left_out:
        files.append(File(name="files that are left out", text=_listed(left_out, _MOST_NAMED)))
    return tuple(files)


def changed_files(paths: Sequence[str]) -> tuple[File, ...]:
    """The names of files whose change a run is for. They are data: somebody else may have chosen them."""
    if not paths:
        return ()
    return (File(name="files that have changed", text=_listed([shown(path) for path in paths], MOST_FILES)),)


def _in_folder(folder: str) -> tuple[str, ...]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if not one.name.startswith(".") and one.is_file())
    except OSError as error:
        raise _missing(folder, error) from None
    return tuple(os.path.join(folder, name) for name in names)


def _missing(path: str, error: OSError | UnreadableFile) -> AttachmentMissing:
    reason = str(error) if isinstance(error, UnreadableFile) else (error.strerror or "cannot be read")
    return AttachmentMissing(f"{shown(path)}: {reason}")


def _listed(names: Sequence[str], most: int) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return "\n".join([*names[:most], *more])
