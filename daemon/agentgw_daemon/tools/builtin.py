"""The tools that agentgw brings along."""

from __future__ import annotations

from typing import Final

from agentgw_daemon.tools.builtins.current_time import CURRENT_TIME
from agentgw_daemon.tools.builtins.delegate import DELEGATE
from agentgw_daemon.tools.builtins.fetch_url import FETCH_URL
from agentgw_daemon.tools.builtins.list_files import LIST_FILES
from agentgw_daemon.tools.builtins.query_sqlite import QUERY_SQLITE
from agentgw_daemon.tools.builtins.read_file import READ_FILE
from agentgw_daemon.tools.builtins.run_command import RUN_COMMAND
from agentgw_daemon.tools.builtins.search_text import SEARCH_TEXT
from agentgw_daemon.tools.builtins.write_file import EDIT_FILE, WRITE_FILE
from agentgw_daemon.tools.tool import RunnableTool

BUILTIN: Final[tuple[RunnableTool, ...]] = (
    READ_FILE, LIST_FILES, SEARCH_TEXT, WRITE_FILE, EDIT_FILE, RUN_COMMAND, QUERY_SQLITE, FETCH_URL, CURRENT_TIME,
    DELEGATE,
)  # fmt: skip
