"""Names of tools that a request gives: each must be a tool's, or may still become one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from agentgw.protocol.errors import NotFound
from agentgw_daemon.approvals.policy import ASK, DENY
from agentgw_daemon.text.near import hint_for

if TYPE_CHECKING:
    from agentgw.protocol.calls.turns import TurnStartParams
    from agentgw_daemon.tools.catalogue import Catalogue


def named_in(params: TurnStartParams) -> tuple[str, ...]:
    """The tools that a turn is given and those that may run in it without a question."""
    approved = (word for word in params.approvals or () if word not in (ASK, DENY))
    return tuple(dict.fromkeys((*(params.tools or ()), *approved)))


async def check_request(params: TurnStartParams, catalogue: Catalogue) -> None:
    """Check all that a request names, with the user's own files as they are now. Starts no server."""
    if names := named_in(params):
        await catalogue.look()
        check_named(names, catalogue)


async def check_approved(approvals: Iterable[str], catalogue: Catalogue) -> None:
    """Check the words of a request that is made later, as `check_request` does."""
    if names := [word for word in approvals if word not in (ASK, DENY)]:
        await catalogue.look()
        check_named(names, catalogue)


def check_named(names: Iterable[str], catalogue: Catalogue) -> None:
    """Raises NotFound, with the nearest name, for what the catalogue saw no tool of.

    A tool of a server that has not said yet what it offers may be there.
    """
    for name in names:
        if name not in catalogue.current and not catalogue.absence(name):
            raise NotFound(
                f"there is no tool {name[:64]}", hint=hint_for(name, catalogue.current, "`agentgw tools` lists them"),
                kind="tool", id=name[:64],
            )  # fmt: skip
