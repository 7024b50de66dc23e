"""Check that a query holds a letter, a digit or a picture."""

from __future__ import annotations

import unicodedata

from agentgw.protocol.errors import InvalidParams


def check_query(query: str) -> None:
    """Raises InvalidParams for a query without a letter, a digit or a picture: nothing is found by punctuation."""
    if not any(_is_searched(one) for one in query):
        reason = "has no letter and no digit"
        raise InvalidParams(
            f"the query {reason}", hint="give words that what you look for has", path="query", reason=reason
        )


def _is_searched(one: str) -> bool:
    kind = unicodedata.category(one)
    return kind[0] in "LN" or kind == "So"
