"""Finds the folders shipped beside the code: in a wheel and in a checkout alike."""

from __future__ import annotations

import os


def shipped(name: str) -> str:
    """The path of a shipped folder, such as `skills`. Raises FileNotFoundError.

    A wheel carries them as `agentgw/_shipped/NAME`, a checkout at its root.
    """
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for candidate in (os.path.join(package, "_shipped", name), os.path.join(os.path.dirname(package), name)):
        if os.path.isdir(candidate):
            return candidate
    raise FileNotFoundError(f"agentgw was installed without its folder {name}")
