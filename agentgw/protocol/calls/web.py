"""The web pages: `web.*`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol.records.schema import record


@record
class SignInLink:
    """A link that signs a browser in, once."""

    url: Annotated[str, "with a one-time code in it"]
    valid_s: Annotated[float, "it works for so long"]
