"""agentgw: a private AI agent one Unix socket away.

This package is the contract (types, events, methods, errors), the wire and the thin client.
It imports the standard library only; the daemon and the shell import it, never the other way round.
"""

__version__ = "4.0.0.dev0"

# The wire's own number: it changes only when an old client could misread a new daemon.
PROTOCOL = 1
