"""Tables of the deliveries to webhooks."""

from __future__ import annotations

from typing import Final

# A row an event and webhook; `id` is the event's, the same for all webhooks and every try. `status` is that of HTTP.
DELIVERIES: Final = (
    """CREATE TABLE deliveries (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        hook TEXT NOT NULL,
        event TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
        tries INTEGER NOT NULL DEFAULT 0,
        retry_at TEXT,
        finished_at TEXT,
        status INTEGER,
        error TEXT
    )""",
    "CREATE INDEX deliveries_pending ON deliveries (hook, n) WHERE state = 'pending'",
    "CREATE INDEX deliveries_ended ON deliveries (hook, n) WHERE state <> 'pending'",
    # `gone`: the digest of the address that answered that it wants no more. `dropped`: events that found no room.
    """CREATE TABLE webhook_standings (
        hook TEXT PRIMARY KEY,
        gone TEXT,
        gone_at TEXT,
        dropped INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
)
