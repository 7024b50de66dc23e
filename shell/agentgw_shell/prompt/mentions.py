"""`@path` in a message: the file goes along. Looks at the disk."""

from __future__ import annotations

import os
import re
from typing import Final

# An `@` where a word begins; a comma or full stop behind the word belongs to the sentence.
_MENTION: Final = re.compile(r"(?<!\S)@(?:\"([^\"\n]+)\"|([^\s\"]*[^\s\".,;:!?)]))")


def mentioned_files(message: str) -> list[str]:
    """Paths that the message names and that are files here, each once."""
    found = (match[1] or match[2] for match in _MENTION.finditer(message))
    return [path for path in dict.fromkeys(found) if _is_file(path)]


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(os.path.expanduser(path))
    except ValueError:
        # A NUL in it.
        return False
