"""A root to work in, with a secret beside it and agentgw's own directories out of reach."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw_daemon.tools.tool import ToolContext
from tests.system.roots import make_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture
def context(root: Path, tmp_path: Path) -> ToolContext:
    own = tuple(root / ".agentgw" / name for name in ("config", "data", "state", "cache", "run"))
    for folder in own:
        folder.mkdir(parents=True)
    (own[0] / "config.toml").write_text("key = 'own secret'\n")
    (own[1] / "agentgw.db").write_bytes(b"SQLite format 3\0own secret")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text("own secret\n")
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "OPENAI_API_KEY": "sk-canary", "LANG": "C.UTF-8"}
    # The children are found as this very package was.
    environ["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    return ToolContext(
        cwd=root, roots=(root,), denied=own, session_id="s", turn_id="t", instance="toolbox", environ=environ
    )
