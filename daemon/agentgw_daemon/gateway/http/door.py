"""Doors that HTTP is spoken at."""

from __future__ import annotations

from typing import Literal

from agentgw.protocol.records.schema import record


@record
class Door:
    """Demands of one listening socket on requests.

    `hosts`: the names it goes by; None where nobody gets in by a name. `key_digest`: SHA-256 of the key; None where
    the kernel has said who is calling.
    """

    name: Literal["unix", "tcp"]
    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()
    key_digest: bytes | None = None
