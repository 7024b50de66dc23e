"""Candidates for llama.cpp's samplers: the tokens of a vocabulary with their logits.

Filled through arrays: value by value it takes half a millisecond. What draws without a grammar leaves it to llama.cpp.
After a batch nothing of numpy is in the processor's cache, and finding the k likeliest in six of its calls to spare
llama.cpp the others took longer than writing all 49,152.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agentgw_daemon.workers.llama.llama import api

Logits = npt.NDArray[np.float32]

# llama_token_data
_DATA: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


def logits_at(pointer: Any, n_vocabulary: int) -> Logits:
    """The values at a pointer of ctypes, as an array of them: no copy."""
    values: Any = (ctypes.c_float * n_vocabulary).from_address(ctypes.addressof(pointer.contents))
    return np.frombuffer(values, np.float32)


class Candidates:
    """Tokens for samplers to choose from, all of a vocabulary to begin with."""

    def __init__(self, n_vocabulary: int) -> None:
        self._all: Final = np.arange(n_vocabulary, dtype=np.int32)
        self._data: Final = np.zeros(n_vocabulary, _DATA)
        self._array: Final[Any] = api.llama_token_data_array(
            data=self._data.ctypes.data_as(ctypes.POINTER(api.llama_token_data))
        )

    def fill(self, logits: Logits) -> None:
        """Sets all tokens in order, with these logits."""
        self._data["id"], self._data["logit"] = self._all, logits
        self._array.size, self._array.selected, self._array.sorted = len(self._data), -1, False

    def apply(self, sampler: Any, *, sort: bool = False) -> None:
        """Let a sampler work on them; with `sort`, one that must not take their order for granted."""
        if sort:
            self._array.sorted = False
        api.llama_sampler_apply(sampler, ctypes.byref(self._array))

    def any_possible(self) -> bool:
        """Tells whether a token is left."""
        return bool((self._data["logit"][: self._array.size] > -np.inf).any())

    @property
    def chosen(self) -> int:
        """The token that the samplers chose."""
        return int(self._data["id"][self._array.selected])
