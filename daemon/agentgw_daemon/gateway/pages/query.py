"""Fields of a page's address. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from agentgw.protocol.errors import InvalidParams

if TYPE_CHECKING:
    from agentgw_daemon.gateway.exchange import Exchange

_MOST_FIELDS: Final = 20


def query_of(exchange: Exchange, name: str) -> str:
    """A field, the last one where it is given often; empty where it is not. Raises InvalidParams."""
    try:
        fields = parse_qs(exchange.request.query, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidParams("the address of the page cannot be read", path=name, reason="cannot be read") from None
    return fields.get(name, [""])[-1].replace("\0", "").strip()
