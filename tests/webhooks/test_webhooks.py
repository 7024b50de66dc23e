"""Queues that are sent, in order, and what changes their course."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from agentgw.protocol.calls.webhooks import Delivery
from agentgw.protocol.errors import NotFound, StorageUnavailable
from agentgw_daemon.events.change_signal import ChangeSignal
from agentgw_daemon.storage.database import Database
from agentgw_daemon.storage.deliveries.deliveries import HookStanding
from agentgw_daemon.storage.deliveries.outbox import EventOutbox
from agentgw_daemon.text.secrets import Secrets
from agentgw_daemon.webhooks.hook import Hook
from agentgw_daemon.webhooks.hooks_file import read_hooks
from agentgw_daemon.webhooks.sending import BACKOFF_S, Sender, Sent
from agentgw_daemon.webhooks.webhooks import TEST_EVENT, Webhooks
from tests.webhooks.receiver import SECRET

ACCEPTED = Sent(status=200)
REFUSED = Sent(status=500, error="status 500")
GONE = Sent(status=410, error="status 410")
# By the virtual clock: longer than all tries of a delivery.
SOON_S = 3600.0

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Pauses take no time: the clock goes on when nobody has anything to do."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0.1)}


class Scripted(Sender):
    """Notes what is sent, and when; gives the answers of the test, then accepts."""

    def __init__(self, *answers: Sent) -> None:
        super().__init__()
        self.answers = list(answers)
        self.sent: list[tuple[str, str, str]] = []
        self.times: list[float] = []
        self._waiting = trio.lowlevel.ParkingLot()

    async def send(self, hook: Hook, event_id: str, event: str, body: str) -> Sent:
        await trio.lowlevel.checkpoint()
        self.sent.append((hook.name, event, event_id))
        self.times.append(trio.current_time())
        self._waiting.unpark_all()
        return self.answers.pop(0) if self.answers else ACCEPTED

    async def wait_sent(self, count: int) -> None:
        with trio.fail_after(SOON_S):
            while len(self.sent) < count:
                await self._waiting.park()


def entry(name: str = "h", events: str = "'*'", **more: str) -> str:
    lines = [f"- name: {name}", f"url: https://{name}.test/in", f"events: {events}", f"secret: {SECRET}"]
    return "\n    ".join(["  " + lines[0], *lines[1:], *(f"{key}: {value}" for key, value in more.items())]) + "\n"


class House:
    """A database, the file and what sends."""

    def __init__(self, path: Path, database: Database, webhooks: Webhooks, sender: Scripted) -> None:
        self.path = path
        self.database = database
        self.webhooks = webhooks
        self.sender = sender

    async def change(self, *entries: str) -> bool:
        self.path.write_text("webhooks:\n" + "".join(entries))
        return await self.webhooks.reload()

    async def happen(self, count: int = 1) -> list[str]:
        """Events; gives the ids of what they tell of, in order."""
        return [(await self.database.sessions.create("s")).session_id for _ in range(count)]

    async def log(self, name: str = "h") -> list[Delivery]:
        """The deliveries of a webhook, the oldest first, once none waits."""
        with trio.fail_after(SOON_S):
            while True:
                found = await self.database.deliveries.list(name, 1000)
                if all(one.state != "pending" for one in found):
                    return list(reversed(found))
                await trio.sleep(20)


@asynccontextmanager
async def house(folder: Path, *entries: str, answers: tuple[Sent, ...] = ()) -> AsyncIterator[House]:
    path = folder / "webhooks.yaml"
    path.write_text("webhooks:\n" + "".join(entries))
    path.chmod(0o600)
    sender = Scripted(*answers)
    added = ChangeSignal()
    outbox = EventOutbox(on_added=added.tell)
    async with Database.open(folder / "data", outbox=outbox) as database, trio.open_nursery() as nursery:
        webhooks = Webhooks(
            database, Secrets(), read_hooks(path, {}), nursery, added=added, environ={}, keep_days=lambda: 30.0,
            sender=sender, wall_clock=lambda: 0.0,
        )  # fmt: skip
        await webhooks.start()
        yield House(path, database, webhooks, sender)
        nursery.cancel_scope.cancel()


async def test_events_are_sent_in_order(tmp_path: Path) -> None:
    async with house(tmp_path, entry()) as h:
        await h.happen(5)
        log = await h.log()
        assert [one.state for one in log] == ["delivered"] * 5
        assert [event_id for _, _, event_id in h.sender.sent] == [one.delivery_id for one in log]


async def test_a_failure_holds_up_the_next_and_keeps_its_id(tmp_path: Path) -> None:
    async with house(tmp_path, entry(), answers=(REFUSED, REFUSED)) as h:
        await h.happen(2)
        first, second = await h.log()
        assert [event_id for _, _, event_id in h.sender.sent] == [*[first.delivery_id] * 3, second.delivery_id]
        assert (first.tries, second.tries) == (3, 1)
        pauses = [later - earlier for earlier, later in zip(h.sender.times, h.sender.times[1:], strict=False)]
        assert [round(pause) for pause in pauses[:2]] == [round(pause) for pause in BACKOFF_S]


async def test_the_third_failure_is_the_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with house(tmp_path, entry(), answers=(REFUSED,) * 3) as h:
        await h.happen(2)
        first, second = await h.log()
    assert (first.state, first.tries, first.status, first.error) == ("failed", 3, 500, "status 500")
    assert second.state == "delivered"
    (told,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "was given up: status 500" in told.message


async def test_webhooks_do_not_wait_for_each_other(tmp_path: Path) -> None:
    class OneHangs(Scripted):
        async def send(self, hook: Hook, event_id: str, event: str, body: str) -> Sent:
            if hook.name == "dead":
                await trio.sleep_forever()
            return await super().send(hook, event_id, event, body)

    async with house(tmp_path, entry("dead"), entry("live")) as h:
        h.webhooks._sender = h.sender = OneHangs()
        await h.happen(3)
        assert [one.state for one in await h.log("live")] == ["delivered"] * 3
        (dead, _) = (await h.webhooks.listing(5)).webhooks
        assert (dead.pending, dead.state) == (3, "enabled")


async def test_what_was_left_is_sent_by_the_next_daemon_under_the_same_id(tmp_path: Path) -> None:
    async with house(tmp_path, entry(), answers=(REFUSED,)) as h:
        await h.happen(2)
        await h.sender.wait_sent(1)
        (_, _, event_id) = h.sender.sent[0]
    async with house(tmp_path, entry()) as h:
        assert [one.state for one in await h.log()] == ["delivered"] * 2
        assert h.sender.sent[0][2] == event_id
        assert len({sent[2] for sent in h.sender.sent}) == 2


async def test_gone_turns_it_off_until_a_test_is_accepted(tmp_path: Path) -> None:
    async with house(tmp_path, entry(), answers=(GONE,)) as h:
        await h.happen(3)
        assert [one.state for one in await h.log()] == ["failed"] * 3
        await h.happen(2)
        assert len(h.sender.sent) == 1
        (shown,) = (await h.webhooks.listing(0)).webhooks
        assert shown.state == "gone"
        assert shown.gone_at is not None
    async with house(tmp_path, entry()) as h:
        await h.happen(1)
        assert len(await h.log()) == 3
        assert (await h.webhooks.test("h")).ok
        await h.happen(1)
        assert [one.state for one in await h.log()][3:] == ["delivered", "delivered"]


async def test_another_address_takes_up_what_was_gone(tmp_path: Path) -> None:
    async with house(tmp_path, entry(), answers=(GONE,)) as h:
        await h.happen()
        await h.log()
        await h.change(entry().replace("/in", "/new"))
        await h.happen()
        assert [one.state for one in await h.log()] == ["failed", "delivered"]


async def test_a_test_is_sent_at_once_and_is_in_the_log(tmp_path: Path) -> None:
    async with house(tmp_path, entry(enabled="false"), answers=(ACCEPTED, REFUSED)) as h:
        assert (await h.webhooks.test("h")).ok
        failed = await h.webhooks.test("h")
        assert (failed.ok, failed.status, failed.error) == (False, 500, "status 500")
        assert [(one.event, one.state) for one in await h.log()] == [(TEST_EVENT, "delivered"), (TEST_EVENT, "failed")]
        with pytest.raises(NotFound):
            await h.webhooks.test("nobody")


async def test_only_events_that_were_asked_for_are_sent(tmp_path: Path) -> None:
    async with house(tmp_path, entry(events="[agent.started]"), entry("all"), entry("off", enabled="false")) as h:
        await h.happen()
        await h.log("all")
        assert [(name, event) for name, event, _ in h.sender.sent] == [("all", "session.created")]


async def test_a_reload_says_whether_anything_changed_and_takes_it_over(tmp_path: Path) -> None:
    async with house(tmp_path, entry()) as h:
        assert not await h.change(entry())
        assert await h.change(entry(), entry("new"))
        await h.happen()
        await h.log("new")
        assert await h.change("  - name: bad\n", entry("new"))
        listing = await h.webhooks.listing(0)
        assert [one.name for one in listing.webhooks] == ["new"]
        assert listing.problems == (f"{h.path}:2: bad: the webhook has no url",)
        await h.happen()
        await h.log("new")
        assert [name for name, _, _ in h.sender.sent].count("h") == 1


async def test_a_bad_entry_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with house(tmp_path, "  - name: bad\n", entry()) as h:
        await h.webhooks.reload()
    assert [one.message for one in caplog.records if "refused" in one.message] == [
        f"webhook refused: {h.path}:2: bad: the webhook has no url"
    ]


async def test_no_secret_leaves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    leak = Sent(status=500, error=f"said {SECRET[6:]}")
    async with house(tmp_path, entry(), answers=(leak,) * 4) as h:
        await h.happen()
        await h.log()
        tested = await h.webhooks.test("h")
        shown = f"{await h.webhooks.listing(10)} {tested}"
    assert SECRET[6:] not in shown + caplog.text
    assert "said ***" in shown
    assert "/in" not in shown


async def test_a_queue_that_cannot_be_read_is_read_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with house(tmp_path, entry()) as h:
        inner, failures = h.database.deliveries.next, ["full"]

        async def failing(hook: str) -> object:
            if failures:
                raise StorageUnavailable(failures.pop())
            return await inner(hook)

        h.database.deliveries.next = failing  # type: ignore[method-assign,assignment]
        await h.happen()
        assert [one.state for one in await h.log()] == ["delivered"]
    assert "webhook h waits: full" in caplog.text


async def test_it_starts_also_when_nobody_can_say_who_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with house(tmp_path, entry(events="[session.created]")) as h:
        assert h.webhooks.is_told("session.created")
        assert not h.webhooks.is_told("job.finished")

        async def failing(hooks: object) -> dict[str, HookStanding]:
            await trio.lowlevel.checkpoint()
            raise StorageUnavailable("full")

        h.database.deliveries.standings = failing  # type: ignore[method-assign]
        assert await h.change(entry(), entry("new"))
        await h.happen()
        assert [one.state for one in await h.log("new")] == ["delivered"]
    assert "which webhooks are gone cannot be read: full" in caplog.text
