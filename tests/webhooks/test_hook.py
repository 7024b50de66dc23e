"""Names and marks of a webhook, without what is secret."""

from __future__ import annotations

from agentgw_daemon.webhooks.hook import routes
from tests.webhooks.receiver import hook


def test_only_enabled_webhooks_have_routes() -> None:
    made = (hook("a", events=("agent.started",)), hook("b", events=("agent.started", "job.finished")))
    off = hook("c", enabled=False)
    assert routes((*made, off)) == {"agent.started": ("a", "b"), "job.finished": ("b",)}


def test_an_address_is_shown_to_its_host_and_told_apart_by_a_digest() -> None:
    one, other = hook(url="https://x.org:8443/key?a=b"), hook(url="https://x.org:8443/other")
    assert one.host == other.host == "https://x.org:8443"
    assert one.address_digest != other.address_digest
    assert "key" not in one.address_digest + repr(one)
