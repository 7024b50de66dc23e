"""Place where the real MCP servers are installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.root import ROOT
from tests.scripts.fetch_mcp_servers import fetch

CACHE = ROOT / ".cache" / "mcp-venv"

WEB = """
import sys, uvicorn
from mcp.server.mcpserver import MCPServer
server = MCPServer("web")

@server.tool()
def add(a: int, b: int) -> int:
    '''Adds.'''
    return a + b

uvicorn.run(server.streamable_http_app(), fd=int(sys.argv[1]), log_level="error")
"""


@pytest.fixture(scope="module")
def programs() -> dict[str, Path]:
    """The servers' programs; the first time they are installed."""
    return fetch(CACHE)
