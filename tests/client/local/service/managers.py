"""Stand-ins for the programs of service managers: they note what they are told and answer as they are set."""

from __future__ import annotations

import os
from pathlib import Path

# Enabling makes the links that systemctl makes; the rest is noted only.
_SCRIPT = """#!/bin/sh
state="$(dirname "$0")/.."
echo "$(basename "$0") $*" >> "$state/calls"
units="$HOME/.config/systemd/user"
case "$*" in
"--user enable agentgw.socket") mkdir -p "$units/sockets.target.wants"
    ln -sf ../agentgw.socket "$units/sockets.target.wants/agentgw.socket" ;;
"--user enable agentgw.service") mkdir -p "$units/default.target.wants"
    ln -sf ../agentgw.service "$units/default.target.wants/agentgw.service" ;;
"--user disable agentgw.service") rm -f "$units/default.target.wants/agentgw.service" ;;
"--user disable --now"*) rm -rf "$units/default.target.wants" "$units/sockets.target.wants" ;;
esac
for word in "$(basename "$0")" "$2"; do
    if [ -f "$state/answers/$word" ]; then
        tail -n +2 "$state/answers/$word"
        exit "$(head -n 1 "$state/answers/$word")"
    fi
done
exit 0
"""


class Programs:
    """systemctl, systemd-run and launchctl in a folder that is to be the PATH."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        (folder / "answers").mkdir()
        for name in names:
            (self.bin / name).write_text(_SCRIPT)
            (self.bin / name).chmod(0o755)

    @property
    def path(self) -> str:
        """The PATH with these before everything else."""
        return f"{self.bin}{os.pathsep}{os.defpath}"

    def answer(self, word: str, status: int, said: str = "") -> None:
        """Sets the answer to a word of systemctl or launchctl (`is-active`), or of a whole program."""
        (self._folder / "answers" / word).write_text(f"{status}\n{said}")

    def calls(self) -> list[str]:
        """The words that they were told since the last time."""
        noted = self._folder / "calls"
        lines = noted.read_text().splitlines() if noted.exists() else []
        noted.unlink(missing_ok=True)
        return lines
