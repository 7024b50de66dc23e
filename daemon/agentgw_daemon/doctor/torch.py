"""Checks of torch, which is optional: llama.cpp embeds without it, and its CUDA build brings gigabytes.

Nothing here imports torch: that takes ten seconds and 700 MB.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable
from typing import Final

from agentgw_daemon.doctor.context import DoctorContext, Verdict, fine, info

_NEEDED: Final = ("torch", "sentence_transformers")
# The CUDA libraries of torch's wheel are packages below this one.
_CUDA: Final = "nvidia"
_NVIDIA_DRIVER: Final = "/proc/driver/nvidia"
# The libraries are some hundred files; a folder of more is not counted to its end.
_MOST_FILES: Final = 20_000


def is_torch_installed() -> bool:
    """Tells whether workers could import torch and sentence-transformers."""
    return all(_folders(name) for name in _NEEDED)


def check_torch(context: DoctorContext) -> Iterable[Verdict]:
    """Checks what embeds many texts at a time, and whether CUDA libraries lie here for nothing."""
    if not is_torch_installed():
        return (info("torch is not installed: llama.cpp embeds everything, large ingests take longer"),)
    cuda = sum(_bytes_below(folder) for folder in _folders(_CUDA))
    if cuda and not os.path.isdir(_NVIDIA_DRIVER):
        text = f"{cuda / 1e9:.1f} GB of CUDA libraries came with torch, and this machine has no NVIDIA driver"
        return (info(text, "install agentgw with torch's CPU build, or without torch: README, Install"),)
    return (fine(f"torch {_version('torch')}, sentence-transformers {_version('sentence-transformers')}"),)


def _folders(package: str) -> tuple[str, ...]:
    try:
        spec = importlib.util.find_spec(package)
    # A broken installation is one that workers cannot import either.
    except (ImportError, ValueError):
        return ()
    return tuple(spec.submodule_search_locations or ()) if spec else ()


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "of an unknown version"


def _bytes_below(folder: str) -> int:
    total = count = 0
    for directory, _, files in os.walk(folder):
        for file in files:
            count += 1
            if count > _MOST_FILES:
                return total
            try:
                total += os.lstat(os.path.join(directory, file)).st_size
            except OSError:
                continue
    return total
