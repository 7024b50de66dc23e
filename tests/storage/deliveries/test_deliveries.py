"""The queue keeps its order, the log its bounds."""

from __future__ import annotations

import pytest

from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.deliveries import deliveries as module
from agentgw_daemon.storage.deliveries.deliveries import Attempt, Pending

pytestmark = pytest.mark.anyio

DELIVERED = Attempt(state="delivered", status=200)
LONG_S = 1e9


async def fill(database: Database, count: int) -> None:
    database.outbox.route({"session.created": ("h",)})
    for _ in range(count):
        await database.sessions.create("s")


async def first(database: Database) -> Pending:
    found = await database.deliveries.next("h")
    assert found is not None
    return found


async def test_a_try_that_failed_stays_first_in_the_queue(database: Database) -> None:
    await fill(database, 2)
    one = await first(database)
    failed = Attempt(state="pending", status=500, error="status 500", retry_at="2030-01-01T00:00:00.000Z")
    await database.deliveries.tried("h", one, failed, keep_s=LONG_S)
    again = await first(database)
    assert (again.id, again.tries, again.retry_at) == (one.id, 1, "2030-01-01T00:00:00.000Z")
    await database.deliveries.tried("h", again, DELIVERED, keep_s=LONG_S)
    assert (await first(database)).id != one.id
    (_, ended) = await database.deliveries.list("h", 10)
    assert (ended.state, ended.tries, ended.status, ended.error) == ("delivered", 2, 200, None)
    assert ended.finished_at is not None


async def test_the_log_keeps_so_many_and_what_waits(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_ENDED", 2)
    await fill(database, 6)
    for _ in range(4):
        await database.deliveries.tried("h", await first(database), DELIVERED, keep_s=LONG_S)
    states = [one.state for one in await database.deliveries.list("h", 10)]
    assert states == ["pending", "pending", "delivered", "delivered"]


async def test_what_is_older_than_is_kept_goes_at_the_first_try(database: Database) -> None:
    await fill(database, 3)
    await database.deliveries.tried("h", await first(database), DELIVERED, keep_s=-60)
    assert await database.deliveries.list("h", 10) == ()


async def test_an_address_that_wants_no_more_is_remembered_until_it_does(database: Database) -> None:
    await database.deliveries.set_gone("h", "digest")
    standing = (await database.deliveries.standings(["h", "other"]))["h"]
    assert standing.gone == "digest"
    assert standing.gone_at is not None
    await database.deliveries.set_gone("h", None)
    assert (await database.deliveries.standings(["h"]))["h"].gone is None


async def test_a_test_by_hand_is_in_the_log(database: Database) -> None:
    await database.deliveries.add_tried("h", "e-1", "webhook.test", "{}", Attempt(state="failed", error="no"))
    (found,) = await database.deliveries.list("h", 1)
    assert (found.delivery_id, found.event, found.state, found.tries) == ("e-1", "webhook.test", "failed", 1)
    assert await database.deliveries.next("h") is None
