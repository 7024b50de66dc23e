"""Scripts for the user's shell, which lie beside this module as files."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SHELLS: Final = ("bash", "zsh", "fish")


def shell_script(name: str, shell: str) -> str:
    """The text of the script of this name for one of SHELLS."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files", f"{name}.{shell}")
    with open(path, encoding="utf-8") as file:
        return file.read()
