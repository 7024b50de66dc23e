"""The date in a zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agentgw_daemon.tools.builtins.current_time import CURRENT_TIME, written
from agentgw_daemon.tools.tool import CallFailed, ToolContext
from tests.tools.calling import content, failure

NOW = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


def test_a_zone_changes_day_and_offset() -> None:
    assert written(NOW, "UTC") == "Wednesday 2026-07-01 22:30:00+00:00 (UTC)"
    assert written(NOW, "Europe/Berlin") == "Thursday 2026-07-02 00:30:00+02:00 (CEST)"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "../../etc/passwd", "/etc/passwd", "", "a\0b", "."])
def test_what_is_no_zone_is_said(zone: str) -> None:
    with pytest.raises(CallFailed, match="not a known zone"):
        written(NOW, zone)


@pytest.mark.anyio
async def test_the_tool_gives_the_time(context: ToolContext) -> None:
    assert "(UTC)" in await content(CURRENT_TIME, context, tz="UTC")
    assert await content(CURRENT_TIME, context)
    assert "not a known zone" in await failure(CURRENT_TIME, context, tz="x")
