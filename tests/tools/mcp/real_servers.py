"""Place where the real MCP servers are installed."""

from __future__ import annotations

from tests.root import ROOT

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
