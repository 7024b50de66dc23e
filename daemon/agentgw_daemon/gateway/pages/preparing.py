"""All that pages need, loaded before somebody opens one. Blocks for half a second.

Afterwards nothing of them is read from the package's files, so that one which is upgraded under the running daemon
cannot mix with it.
"""

from __future__ import annotations

from typing import Final

from agentgw_daemon.gateway.pages.chat.markdown import html_of
from agentgw_daemon.gateway.pages.problems import problem_style
from agentgw_daemon.gateway.pages.rendering.assets import assets
from agentgw_daemon.gateway.pages.rendering.templates import environment

# Brings the parser, the sanitiser and what colours code.
_ANSWER: Final = "*Words*\n\n```python\nreturn 1\n```\n"


def prepare_pages() -> None:
    """Load templates, assets and what makes HTML of answers."""
    made = environment()
    for name in made.list_templates():
        made.get_template(name)
    assets()
    problem_style()
    html_of(_ANSWER, {})
