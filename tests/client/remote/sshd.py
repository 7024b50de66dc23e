"""A program called `ssh` that carries out its last argument here, as a login shell over there would."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

_PROGRAM = """\
#!/bin/sh
printf '%s\\n' "$@" > {arguments}
{first}
for last; do :; done
exec sh -c "$last"
"""
_AGENTGW = """\
#!/bin/sh
exec {python} -m agentgw "$@"
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, first: str = "", agentgw: bool = True) -> Path:
    """Puts both programs in front of PATH; `first` runs before anything. Gives the file with ssh's arguments."""
    folder.mkdir()
    arguments = folder / "arguments"
    _write(folder / "ssh", _PROGRAM.format(arguments=arguments, first=first))
    if agentgw:
        _write(folder / "agentgw", _AGENTGW.format(python=sys.executable))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return arguments


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)
