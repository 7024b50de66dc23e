"""Subscriptions to what happens in the whole daemon: `event.*`."""

from __future__ import annotations

from typing import Annotated

from agentgw.protocol import types as t
from agentgw.protocol.records.schema import Limit, record


@record
class SubscribeParams:
    """The events wanted; the subscription ends with the connection."""

    topics: Annotated[tuple[t.Topic, ...], "at least one", Limit(min_length=1, max_length=4)]
