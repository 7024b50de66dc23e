"""agentgw: a private AI agent one Unix socket away.

This package is the contract (types, events, methods, errors), the wire and the thin client.
It imports the standard library only; the daemon and the shell import it, never the other way round.
Programs take `AgentGWClient` or `AsyncAgentGWClient` from here, which are imported when they are asked for.
"""

__version__ = "4.0.0.dev0"

# The wire's own number: it changes only when an old client could misread a new daemon.
PROTOCOL = 1


# By name and not as imports, because whoever only wants a version must not reach them; type checkers read
# __init__.pyi instead.
_CLIENTS = {"AgentGWClient": "agentgw.api.blocking", "AsyncAgentGWClient": "agentgw.api.asynchronous"}


def __getattr__(name: str) -> object:
    if name not in _CLIENTS:
        raise AttributeError(f"module 'agentgw' has no attribute {name!r}")
    return getattr(__import__(_CLIENTS[name], fromlist=(name,)), name)
