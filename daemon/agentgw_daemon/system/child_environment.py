"""The environment a worker process gets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import agentgw_daemon

_ENV_NAMES: Final = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"})
_ENV_PREFIXES: Final = ("LC_", "OMP_", "GGML_", "CUDA_", "HIP_", "HSA_", "ROCR_", "VK_")


def worker_environment(environ: Mapping[str, str], instance: str) -> dict[str, str]:
    """The few variables a worker needs. An allow-list: API keys and tokens stay with the daemon.

    PYTHONPATH goes along only when this very package was found through it.
    """
    made = {name: value for name, value in environ.items() if name in _ENV_NAMES or name.startswith(_ENV_PREFIXES)}
    # Absolute, because workers run in another directory.
    entries = [str(Path(entry).absolute()) for entry in environ.get("PYTHONPATH", "").split(":") if entry]
    if str(Path(agentgw_daemon.__path__[0]).absolute().parent) in entries:
        made["PYTHONPATH"] = ":".join(entries)
    made["AGENTGW_INSTANCE"] = instance
    return made
