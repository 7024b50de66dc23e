"""Writing that outlives a power cut. Blocking file work."""

from __future__ import annotations

import os
from pathlib import Path


def sync_path(path: Path) -> None:
    """Put the file's content, or the directory's entries, on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
