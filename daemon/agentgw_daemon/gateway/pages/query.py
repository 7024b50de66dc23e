"""Fields of a page's address. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from agentgw.protocol.errors import InvalidParams

if TYPE_CHECKING:
    from agentgw_daemon.gateway.routing.exchange import Exchange

_MOST_FIELDS: Final = 20
# More places than any list of a page has.
_MOST_DIGITS: Final = 6


def query_of(exchange: Exchange, name: str) -> str:
    """A field, the last one where it is given often; empty where it is not. Raises InvalidParams."""
    try:
        fields = parse_qs(exchange.request.query, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidParams("the address of the page cannot be read", path=name, reason="cannot be read") from None
    return fields.get(name, [""])[-1].replace("\0", "").strip()


def place_of(exchange: Exchange, name: str) -> int:
    """A field as a place in a list, counted from 0; 0 where it is none. Raises InvalidParams."""
    text = query_of(exchange, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0
