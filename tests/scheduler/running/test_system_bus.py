"""Questions over a bus of the test's own, with stand-ins for NetworkManager and logind."""

from __future__ import annotations

import pytest

from agentgw_daemon.scheduler.running.system_bus import is_unmetered, is_user_away
from tests.system.bus import LOGIN, NETWORK, standin
from tests.system.bus import bus as bus

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("metered", "free"), [(1, False), (2, True), (3, False), (4, True), (0, None)])
async def test_a_metered_network_is_what_the_manager_says(bus: str, metered: int, free: bool | None) -> None:
    async with standin(NETWORK, {"Metered": ("u", metered)}):
        assert await is_unmetered() is free


async def test_a_user_is_away_when_no_session_is_used(bus: str) -> None:
    async with standin(LOGIN, {"IdleHint": ("b", True)}):
        assert await is_user_away() is True
    async with standin(LOGIN, {"IdleHint": ("s", "perhaps")}):
        assert await is_user_away() is None


async def test_a_service_that_is_not_there_or_knows_nothing_is_no_answer(bus: str) -> None:
    assert await is_unmetered() is None
    async with standin(NETWORK, {}):
        assert await is_unmetered() is None
