"""jsonrpcserver, imported without its HTTP server and its asyncio half: 50 modules and 3 MB of an idle daemon."""

from __future__ import annotations

from agentgw_daemon.system.left_out import left_out

with left_out(empty=("jsonrpcserver.async_main", "jsonrpcserver.server")):
    from jsonrpcserver import Error, Success
    from jsonrpcserver.dispatcher import create_request, dispatch_request

__all__ = ["Error", "Success", "create_request", "dispatch_request"]
