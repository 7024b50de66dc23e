"""`agentgw webhooks` against a fake daemon."""

from __future__ import annotations

from tests.client.commandline import Cli
from tests.client.fakedaemon import Serve

DELIVERY = {
    "delivery_id": "e-1", "webhook": "build", "event": "agent.completed", "state": "failed", "tries": 3,
    "created_at": "2026-01-01T10:20:30.000Z", "error": "status 500",
}  # fmt: skip
HOOK = {
    "name": "build", "state": "active", "host": "ci.example", "events": ["agent.completed"], "pending": 1,
    "dropped": 0, "signed": True, "deliveries": [DELIVERY],
}  # fmt: skip


def test_what_was_told_stands_below_with_the_time_here(cli: Cli, serve: Serve) -> None:
    serve({"webhook.list": {"webhooks": [HOOK], "problems": []}})
    out = cli("webhooks")[1]
    assert out.splitlines()[-1].split() == [
        "2026-01-01", "10:20", "build", "agent.completed", "failed", "3", "status", "500",
    ]  # fmt: skip
