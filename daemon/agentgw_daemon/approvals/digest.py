"""Digest of what an approval is for: this tool, with these arguments, in this directory, about these things.

Does no I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest_of(tool: str, arguments: Mapping[str, Any], cwd: str, things: tuple[str, ...] = ()) -> str:
    """SHA-256 of the call in one canonical form: the order of names does not count, everything else does.

    `arguments` are JSON values and have passed `check_arguments`: without lone surrogates, texts that differ are
    written differently. `things` are the preview's; a rule that was made without them fits no call that has some.
    """
    call = [tool, dict(arguments), cwd, *([list(things)] if things else [])]
    canonical = json.dumps(call, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
