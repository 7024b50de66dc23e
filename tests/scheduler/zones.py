"""Time zones, and times to begin with."""

from __future__ import annotations

from datetime import UTC, datetime

# One hour, half an hour, at midnight both ways, no change, odd offset, a day left out.
ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "America/Santiago",
    "UTC", "Asia/Kathmandu", "Pacific/Apia",
)  # fmt: skip


BEGINNINGS = tuple(
    datetime(*day, tzinfo=UTC) for day in ((2027, 3, 26), (2026, 10, 23), (2027, 4, 2), (2026, 10, 30), (2011, 12, 28))
)
