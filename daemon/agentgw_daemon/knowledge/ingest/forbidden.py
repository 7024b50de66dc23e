"""Files that are never read, wherever they lie: our own directories and people's keys, by the rules for tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentgw_daemon.tools.tool import ToolContext


@dataclass(frozen=True, slots=True)
class Forbidden:
    """`own` are our own directories, free of links (`places.denied_of`)."""

    own: tuple[Path, ...]
    environ: Mapping[str, str]

    def context(self) -> ToolContext:
        """The context for the checks in `tools.files.places`."""
        return ToolContext(
            cwd=Path("/"), roots=(), denied=self.own, session_id="", turn_id="", instance="", environ=self.environ
        )
