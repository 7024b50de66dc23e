"""Pages loaded beforehand: afterwards nothing of them is read or imported."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.patience import PATIENCE_S

# Which files of ours and of the libraries a page opens is seen by the interpreter's own audit.
READS = """
import sys
from agentgw_daemon.gateway.pages.chat.markdown import html_of
from agentgw_daemon.gateway.pages.preparing import prepare_pages
from agentgw_daemon.gateway.pages.problems import problem_style
from agentgw_daemon.gateway.pages.rendering.templates import environment, rendered

prepare_pages()
opened = []
sys.addaudithook(lambda event, args: opened.append(f"{event} {args[0]}") if event in ("open", "import") else None)
for name in environment().list_templates():
    environment().get_template(name)
rendered("problem_line.html", message="m", hint="h")
problem_style()
html_of("# a\\n\\n| b |\\n|---|\\n\\n```python\\nx\\n```\\n", {})
print(opened)
"""


def test_afterwards_no_page_reads_or_imports_anything() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READS],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done
