"""`webhook.*`: the webhooks with their deliveries, and a test of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.calls.webhooks import WebhookList, WebhookListParams, WebhookNameParams, WebhookTestResult

if TYPE_CHECKING:
    from agentgw_daemon.server.calls.request import Handler, RequestContext


async def list_webhooks(request: RequestContext, params: WebhookListParams) -> WebhookList:
    """The webhooks in the order of the file, with the entries that cannot be used."""
    return await request.daemon.webhooks.listing(params.deliveries)


async def test(request: RequestContext, params: WebhookNameParams) -> WebhookTestResult:
    """Send a signed event and wait for its end."""
    return await request.daemon.webhooks.test(params.name)


HANDLERS: dict[str, Handler] = {"webhook.list": list_webhooks, "webhook.test": test}
