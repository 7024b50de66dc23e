"""Decision on a call that needs an approval: it has one, must be asked about, or is refused. Does no I/O.

The rule in one paragraph. A tool named by the user for this turn or in `tools.allow` runs, and so does a call whose
digest was granted for the session or for good. All else is asked about, or refused where nobody is to be asked. After
untrusted text entered the session, none of these lets a call through that can carry data out: it is always asked
about, because whoever wrote that text may be the one who wants it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from agentgw.protocol.records.schema import record
from agentgw_daemon.tools.tool import ToolSpec

# Words of `approvals` beside names of tools: what becomes of a call that nothing allows.
ASK: Final = "ask"
DENY: Final = "deny"


@record
class Allow:
    """The call runs without a question; `reason` says what allows it."""

    reason: str


@record
class Ask:
    """Decision that the user must be asked."""


@record
class Refuse:
    """The call does not run; `reason` is for the model and the log."""

    reason: str


Permission = Allow | Ask | Refuse


def decide(
    spec: ToolSpec,
    digest: str,
    *,
    asked_for: tuple[str, ...] | None,
    allow: Collection[str],
    session_grants: Collection[str],
    rules: Collection[str],
    tainted: bool,
) -> Permission:
    """The permission of a call that needs an approval.

    `asked_for` are the turn's `approvals`: names of tools that may run, and `ask` (the default) or `deny` for the
    rest. `allow` is the setting `tools.allow`; `session_grants` and `rules` are digests; `tainted` says that untrusted
    text entered the session.
    """
    words = asked_for or ()
    if not (tainted and spec.outbound):
        # A tool may call itself `ask`.
        if spec.name in words and spec.name not in (ASK, DENY):
            return Allow(reason="named for this turn")
        if spec.name in allow:
            return Allow(reason="tools.allow")
        if digest in session_grants:
            return Allow(reason="granted for this session")
        if digest in rules:
            return Allow(reason="always allowed")
    if DENY in words:
        return Refuse(reason=f"{spec.name} needs an approval, and nobody is to be asked for one")
    return Ask()
