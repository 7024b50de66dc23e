"""Libraries' parts that this process has no use for, kept out of its memory while the libraries are imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


class _StandIn(ModuleType):
    """An empty module whose every public name is itself, so that what is taken from it can be taken."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


@contextmanager
def left_out(*, absent: tuple[str, ...] = (), empty: tuple[str, ...] = ()) -> Iterator[None]:
    """Imports meanwhile do not find the `absent` modules, and find the `empty` ones without anything in them.

    `absent` is for what a library does without where it is not installed; `empty` for what it imports and only its own
    command line or server would call. What is imported already stays what it is; afterwards all can be imported.
    """
    hidden = [name for name in (*absent, *empty) if name not in sys.modules]
    for name in hidden:
        # None makes an import raise ModuleNotFoundError.
        sys.modules[name] = _StandIn(name) if name in empty else None  # type: ignore[assignment]  # the documented way
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
