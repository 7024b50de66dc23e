"""Which embedder the configuration names, and how workers use it."""

from __future__ import annotations

from agentgw.errors import ModelUnavailable
from agentgw_daemon.retrieval import wire


async def find(name: str) -> wire.Embedder:
    """The embedder of this name. Raises ModelUnavailable with the line that gets it."""
    raise ModelUnavailable(
        f"the embedder {name} is not pulled", hint=f"run `agentgw pull {name}`", model=name, reason="not pulled",
        suggestion=name,
    )  # fmt: skip
