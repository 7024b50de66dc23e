"""Webhooks, and deliveries to them: `webhook.*`."""

from __future__ import annotations

from typing import Annotated, Literal

from agentgw.protocol.records.schema import Limit, record

WebhookEvent = Literal[
    "agent.started", "agent.completed", "agent.failed", "tool.executed", "session.created", "feedback.received",
    "job.finished",
]  # fmt: skip
DeliveryState = Literal["pending", "delivered", "failed"]


@record
class Delivery:
    """An event on its way to a webhook, or the end of that."""

    delivery_id: Annotated[str, "the header `webhook-id`, the same for every try and for all webhooks of an event"]
    webhook: str
    event: Annotated[str, "its event, or `webhook.test`"]
    state: DeliveryState
    created_at: str
    tries: int
    retry_at: Annotated[str | None, "not tried again before then"] = None
    finished_at: str | None = None
    status: Annotated[int | None, "of HTTP, that the last try got"] = None
    error: Annotated[str | None, "why the last try failed"] = None


@record
class Webhook:
    """One entry of webhooks.yaml. Neither its secrets nor its whole address are shown to anybody."""

    name: str
    host: Annotated[str, "scheme, host and port of its address"]
    events: tuple[WebhookEvent, ...]
    state: Annotated[
        Literal["enabled", "disabled", "gone"],
        "gone: its receiver answered 410; an accepted `webhook.test` or another address takes it up again",
    ]
    signed: Annotated[bool, "false: the entry has no secret"]
    local: Annotated[bool, "it may be on this machine or a private network"]
    pending: Annotated[int, "deliveries that wait"]
    dropped: Annotated[int, "events that found the queue full"]
    gone_at: str | None = None
    deliveries: Annotated[tuple[Delivery, ...], "the latest first"] = ()


@record
class WebhookListParams:
    """The part of the log to show."""

    deliveries: Annotated[int, "the latest so many of each webhook", Limit(minimum=0, maximum=1000)] = 5


@record
class WebhookList:
    """In the order of the file; `problems` are the entries that cannot be used, each with file and line."""

    webhooks: tuple[Webhook, ...]
    problems: tuple[str, ...] = ()


@record
class WebhookNameParams:
    """One webhook."""

    name: Annotated[str, "its name in webhooks.yaml", Limit(min_length=1)]


@record
class WebhookTestResult:
    """The answer of a webhook's receiver to a signed event `webhook.test`."""

    ok: Annotated[bool, "it was accepted: a status from 200 to 299"]
    delivery_id: str
    duration_ms: float
    status: int | None = None
    error: str | None = None
