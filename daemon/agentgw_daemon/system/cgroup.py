"""Memory that the control groups of this process leave it: a container's limit, or a service's (cgroup v2 and v1).

Only Linux has them; elsewhere, and where nothing is limited, the answer is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/self/cgroup")
_MOUNT: Final = Path("/sys/fs/cgroup")
# Of both versions: the limit, what is used, and what of that is file content that can be dropped.
_V2: Final = ("memory.max", "memory.current", ("inactive_file", "active_file"))
_V1: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
# The first version has this much, rounded to pages, where there is no limit.
_UNLIMITED: Final = 1 << 60


def available_bytes(proc: Path = _PROC, mount: Path = _MOUNT) -> int | None:
    """Bytes until the narrowest limit of the group or one around it; None where there is no limit."""
    return min(_left(proc, mount), default=None)


def _left(proc: Path, mount: Path) -> Iterator[int]:
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _up(mount, path, _V2)
        elif "memory" in controllers.split(","):
            yield from _up(mount / "memory", path, _V1)


def _up(root: Path, path: str, names: tuple[str, str, tuple[str, str]]) -> Iterator[int]:
    """Bytes that each group leaves, from the process's own to the outermost that is seen here."""
    limit_name, used_name, droppable = names
    # In a container the path may be the host's, which is not seen: its own group is then the root.
    group = root / path.lstrip("/")
    for folder in (group, *group.parents):
        try:
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            stat = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines() if " " in line)
            cached = sum(int(stat.get(name, 0)) for name in droppable)
        except (OSError, ValueError):
            limit = _UNLIMITED
        if limit < _UNLIMITED:
            yield max(limit - max(used - cached, 0), 0)
        if folder == root:
            return


def _number(path: Path) -> int:
    text = path.read_text().strip()
    return _UNLIMITED if text == "max" else int(text)
