"""Parameters of `turn.steer`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol.schema import Limit, record


@record
class TurnSteerParams:
    """Words for a running turn."""

    turn_id: Annotated[str, "the turn", Limit(min_length=1, max_length=64)]
    text: Annotated[str, "what the user says, in their own words", Limit(min_length=1)]
