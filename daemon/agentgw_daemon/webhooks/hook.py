"""A webhook as its file says it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, get_args
from urllib.parse import urlsplit

from agentgw.protocol.calls.webhooks import WebhookEvent
from agentgw.protocol.records.schema import record
from agentgw_daemon.tools.web.addresses import is_local, is_public

EVENTS: Final[tuple[WebhookEvent, ...]] = get_args(WebhookEvent)


@record
class Hook:
    """One entry of the file. `secrets` as they were written, the one in force first; none: nothing is signed."""

    name: str
    url: str
    events: tuple[WebhookEvent, ...]
    line: int
    secrets: tuple[str, ...] = ()
    enabled: bool = True
    allow_local: bool = False

    def __repr__(self) -> str:
        """Without secrets and the path, which is one at times: this may end up in a log."""
        return f"Hook({self.name!r}, {self.host!r})"

    @property
    def host(self) -> str:
        """Scheme, host and port: all of the address that anybody is shown."""
        found = urlsplit(self.url)
        return f"{found.scheme}://{found.netloc}"

    @property
    def address_digest(self) -> str:
        """Mark that tells this address from another one, and nothing about it."""
        return hashlib.sha256(self.url.encode()).hexdigest()


def reach_of(scheme: str, allow_local: bool) -> tuple[Callable[[IPv4Address | IPv6Address], bool], str]:
    """The addresses that a webhook may have, and where they are, in the words of a sentence about one that is not."""
    if not allow_local:
        return is_public, "on the public internet, and the webhook does not have `allow_local: true`"
    if scheme == "http":
        return is_local, "on this machine or a private network; beyond them, https it is"
    return _is_anywhere, "on this machine, a private network or the public internet"


def _is_anywhere(address: IPv4Address | IPv6Address) -> bool:
    return is_local(address) or is_public(address)


def routes(hooks: Iterable[Hook]) -> dict[WebhookEvent, tuple[str, ...]]:
    """The names of the enabled webhooks by event."""
    enabled = [hook for hook in hooks if hook.enabled]
    return {event: names for event in EVENTS if (names := tuple(h.name for h in enabled if event in h.events))}
