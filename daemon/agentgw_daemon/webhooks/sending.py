"""One try to deliver an event, and what follows from it. Imports httpx with the first one."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import trio

from agentgw.protocol.records.schema import record
from agentgw_daemon.storage.deliveries.deliveries import Attempt
from agentgw_daemon.system.ids import time_text
from agentgw_daemon.tools.tool import CallFailed
from agentgw_daemon.webhooks.hook import reach_of
from agentgw_daemon.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from agentgw_daemon.tools.web.web import Network, Reach
    from agentgw_daemon.webhooks.hook import Hook

# One try, from the look-up of the name to the status.
TRY_S: Final = 30.0
TRIES: Final = 3
# Pauses before the second and the third try: a receiver that is started again is back within them.
BACKOFF_S: Final = (15.0, 90.0)
# The longest that a receiver may ask to be left alone.
MAX_RETRY_AFTER_S: Final = 900.0
MAX_REPLY_BYTES: Final = 64 << 10
# A receiver that closes its connection wants to be read first; what it says is not used.
_BODY_S: Final = 2.0
_GONE: Final = 410
_MAX_ERROR_CHARS: Final = 300
_ASKS_FOR_TIME: Final = frozenset({429, 503})


@record
class Sent:
    """Result of a try: the status, or why there is none."""

    status: int | None = None
    error: str | None = None
    retry_after_s: float = 0.0

    @property
    def accepted(self) -> bool:
        """Tells whether the receiver has taken it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Tells whether the receiver wants no more."""
        return self.status == _GONE


class Sender:
    """Sends to webhooks. `network` and `trust` are the tests' to replace."""

    def __init__(
        self,
        network: Network | None = None,
        trust: Callable[[], ssl.SSLContext] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._network = network
        self._trust = trust
        self._wall_clock = wall_clock

    async def send(self, hook: Hook, event_id: str, event: str, body: str) -> Sent:
        """Try once. Raises nothing but Cancelled."""
        from agentgw_daemon.tools.web import web

        content = body.encode()
        headers = signed_headers(event_id, event, int(self._wall_clock()), content, hook.secrets)
        try:
            with trio.fail_after(TRY_S):
                url = web.parse(hook.url, ("https", "http") if hook.allow_local else ("https",))
                context = await trio.to_thread.run_sync(self._trust or web.tls)
                reply = await web.request(
                    "POST", url, context, self._network or web.Internet(), _reach(hook, url.scheme), headers=headers,
                    content=content, max_bytes=MAX_REPLY_BYTES, body_s=_BODY_S,
                )  # fmt: skip
        except trio.TooSlowError:
            return Sent(error=f"no answer within {TRY_S:g} s")
        except CallFailed as failed:
            return Sent(error=failed.text[:_MAX_ERROR_CHARS])
        sent = Sent(status=reply.status)
        if sent.accepted:
            return sent
        text = f"status {reply.status}"
        if 300 <= reply.status < 400:
            text += ": redirects are not followed"
        after = retry_after_s(reply.retry_after, self._wall_clock()) if reply.status in _ASKS_FOR_TIME else 0.0
        return Sent(status=reply.status, error=text, retry_after_s=after)


def _reach(hook: Hook, scheme: str) -> Reach:
    from agentgw_daemon.tools.web.web import Reach

    permits, where = reach_of(scheme, hook.allow_local)
    return Reach(permits=permits, where=where)


def attempt_of(sent: Sent, tries_before: int, now_s: float) -> Attempt:
    """The state of a delivery after this try."""
    if sent.accepted:
        return Attempt(state="delivered", status=sent.status)
    tries = tries_before + 1
    if sent.gone or tries >= TRIES:
        return Attempt(state="failed", status=sent.status, error=sent.error)
    pause_s = max(BACKOFF_S[tries - 1], sent.retry_after_s)
    return Attempt(state="pending", status=sent.status, error=sent.error, retry_at=time_text(now_s + pause_s))


def retry_after_s(text: str, now_s: float) -> float:
    """Seconds of a header `Retry-After`, of either form and within the bound; 0 for what is neither."""
    try:
        wanted = float(text) if text.isascii() and text.isdigit() else parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, OverflowError, TypeError, IndexError):
        return 0.0
    return min(max(wanted, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(wanted) else 0.0
