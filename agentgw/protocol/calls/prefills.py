"""A prompt that is computed before it is asked, as `turn.prefill` gives it."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol.schema import record


@record
class PrefillResult:
    """Outcome of a prefill. Its tokens are found again by a turn that begins alike, as long as the model keeps them."""

    model: str
    prompt_tokens: Annotated[int, "of the prompt as it would be sent; 0: nothing was computed"] = 0
    cached_tokens: Annotated[int, "of these, the ones that were there already"] = 0
    reason: Annotated[str | None, "why nothing was computed"] = None
