"""The weights of a `.safetensors` file, mapped: a JSON header of bounded size, then numbers. Runs in a worker.

The format: https://huggingface.co/docs/safetensors. A file is a stranger's, so every offset is checked against its
size before anything is read through it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

WeightTensor = npt.NDArray[np.float32]

# The format's own limit is 100 MB; a model with 100,000 tensors has 10.
_MAX_HEADER_BYTES: Final = 100_000_000
_BYTES: Final = {"F32": 4, "F16": 2, "BF16": 2}


class BadWeights(ValueError):
    """The file is not what it should be; the text says why."""


class Weights:
    """Tensors by name, each read as float32 when it is asked for."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
                raise BadWeights("is no safetensors file")
            try:
                header = json.loads(file.read(length))
            except (ValueError, RecursionError) as error:
                raise BadWeights("has a header that cannot be read") from error
        self._start = 8 + length
        self._map = np.memmap(path, np.uint8, "r") if size > self._start else np.zeros(0, np.uint8)
        self._tensors = _checked(header, size - self._start)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def get(self, name: str) -> WeightTensor:
        """A tensor. Raises BadWeights if it is not there."""
        try:
            kind, shape, first, last = self._tensors[name]
        except KeyError:
            raise BadWeights(f"has no tensor {name}") from None
        raw = self._map[self._start + first : self._start + last]
        if kind == "BF16":
            return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        return raw.view("<f4" if kind == "F32" else "<f2").astype(np.float32).reshape(shape)


def _checked(header: Any, size: int) -> Mapping[str, tuple[str, tuple[int, ...], int, int]]:
    """The tensors of numbers that can be weights; others, such as positions, are left out."""
    if not isinstance(header, dict):
        raise BadWeights("has a header that cannot be read")
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            kind, shape, (first, last) = entry["dtype"], tuple(map(int, entry["shape"])), entry["data_offsets"]
        except (TypeError, KeyError, ValueError) as error:
            raise BadWeights(f"describes the tensor {name[:64]} badly") from error
        if kind not in _BYTES:
            continue
        if not 0 <= first <= last <= size or math.prod(shape) * _BYTES[kind] != last - first:
            raise BadWeights(f"has the tensor {name[:64]} outside of the file")
        found[name] = (kind, shape, first, last)
    return found
