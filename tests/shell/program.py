"""The installed program."""

from __future__ import annotations

import sys
from pathlib import Path

AGENTGW = str(Path(sys.executable).parent / "agentgw")
