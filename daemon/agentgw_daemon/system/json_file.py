"""Small JSON files: read within bounds, replaced whole."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_SMALL_FILE_BYTES: Final = 4 << 20


_WRITING: Final = ".write-"


def write_atomically(path: Path, value: Any) -> None:
    """Writes `value` as JSON under a name that readers see old or new, never half."""
    _replace(path, json.dumps(value, indent=1).encode() + b"\n")


def read_mapping(path: Path) -> Mapping[str, Any]:
    """The JSON object in a small file of ours; empty when there is none or it is damaged."""
    try:
        if path.stat().st_size > _SMALL_FILE_BYTES:
            return {}
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _replace(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_WRITING, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise
