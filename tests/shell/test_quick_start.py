"""The first prompt waits for what it needs, and for nothing else."""

from __future__ import annotations

import subprocess
import sys

_LATER = {"pygments", "markdown_it", "agentgw_shell.rendering.markdown", "agentgw_shell.rendering.code"}
_NEVER = {"trio", "httpx", "rich", "textual", "agentgw_daemon"}


def test_nothing_that_draws_answers_is_loaded_for_the_first_prompt() -> None:
    script = "import sys, agentgw_shell.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "prompt_toolkit" in loaded
    assert not loaded & (_LATER | _NEVER)
