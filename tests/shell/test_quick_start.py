"""The first prompt waits for nothing, and its editor for what it needs alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.shell.terminal import Terminal

# What draws answers, what commands need, and what takes long and is of no use to anything here.
_LATER = {
    "pygments", "markdown_it", "agentgw_shell.rendering.markdown", "agentgw_shell.rendering.code", "difflib",
    "agentgw_shell.commands.table", "agentgw_shell.commands.asking", "agentgw.cli.main",
    "agentgw.cli.asking.approval_prompt", "agentgw.cli.commands.pull", "urllib.parse",
}  # fmt: skip
_NEVER = {"trio", "httpx", "rich", "textual", "agentgw_daemon", "sqlite3", "multiprocessing"}
_EDITOR = {"prompt_toolkit", "asyncio", "wcwidth", "typing", "inspect", "dataclasses", "subprocess", "socket"}


def loaded_by(module: str) -> set[str]:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    return set(done.stdout.split())


def test_nothing_that_draws_answers_is_loaded_for_the_editor() -> None:
    loaded = loaded_by("agentgw_shell.chat")
    assert "prompt_toolkit" in loaded
    assert not loaded & (_LATER | _NEVER)


def test_the_first_prompt_does_not_wait_for_the_editor() -> None:
    assert not loaded_by("agentgw_shell.__main__") & (_LATER | _NEVER | _EDITOR)


@pytest.mark.e2e
def test_keys_before_the_editor_is_there_are_its_first(tmp_path: Path) -> None:
    # An editor that is not loaded before the keys have come.
    late = tmp_path / "late"
    late.mkdir()
    (late / "sitecustomize.py").write_text(
        "import select, sys\n"
        "class Late:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'prompt_toolkit':\n"
        "            select.select([0], [], [], 60)\n"
        "sys.meta_path.insert(0, Late())\n"
    )
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    home.chmod(0o700)
    # The daemon is of no use to the prompt, and this one does not start.
    (home / "config" / "config.toml").write_text("not = [toml")
    environment = {**os.environ, "AGENTGW_HOME": str(home), "PYTHONPATH": str(late)}
    with Terminal([sys.executable, "-m", "agentgw_shell"], environment) as terminal:
        terminal.wait_for("Ctrl-D leaves\n›")
        assert b"\x1b[?2004h" in terminal.received, "a paste is marked from the start"
        terminal.send("\x1b[200~one\ntwo\x1b[201~ three")
        screen = terminal.wait_for("› one", "  … two three")
        assert screen.count("›") == 1
        terminal.send("\x03")
        terminal.send("\x04")
        assert terminal.wait_exit() == 0
