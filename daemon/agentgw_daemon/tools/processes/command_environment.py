"""The environment a command gets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

# Variables that programs need to find themselves, their user and their language. An allow-list: keys, tokens, agents'
# sockets and the addresses of the desktop's buses stay with the daemon.
_NAMES: Final = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"})
_PREFIX: Final = "LC_"
# Nobody is there to answer a question, look at colours or leaf through pages.
_FIXED: Final[Mapping[str, str]] = {
    "TERM": "dumb",
    "NO_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
}
DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
# Marks a call's processes, also those that left its process group.
MARK: Final = "AGENTGW_CALL"


def search_path(environ: Mapping[str, str]) -> str:
    """The search path of programs: PATH without its empty and relative entries, which mean whatever directory."""
    entries = [entry for entry in environ.get("PATH", DEFAULT_PATH).split(os.pathsep) if entry.startswith("/")]
    return os.pathsep.join(entries) or DEFAULT_PATH


def command_environment(environ: Mapping[str, str], cwd: str, mark: str) -> dict[str, str]:
    """The few variables, and `mark`, by which the call's processes are found."""
    made = {name: value for name, value in environ.items() if name in _NAMES or name.startswith(_PREFIX)}
    return {**made, "PATH": search_path(environ), **_FIXED, "PWD": cwd, MARK: mark}
