"""The end of a daemon that nobody needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from agentgw_daemon.lifecycle.idle import end_when_idle


class Life:
    """Happenings on a clock of the test's."""

    def __init__(self) -> None:
        self.activity = 0
        self.needed = False
        self.reasons: list[str] = []
        self.ended_at: float | None = None

    def drain(self, reason: str) -> None:
        self.reasons.append(reason)
        self.ended_at = trio.current_time()

    def run(self, idle_s: float, happenings: dict[float, Callable[[], None]]) -> float | None:
        """The time at which it ended, if it did before all was over."""

        async def main() -> None:
            begun = trio.current_time()
            with trio.move_on_after(max(happenings, default=0) + 10 * idle_s + 1):
                async with trio.open_nursery() as nursery:
                    for at, happen in happenings.items():
                        nursery.start_soon(self._at, begun + at, happen)
                    await end_when_idle(
                        idle_s, activity=lambda: self.activity, is_needed=lambda: self.needed, drain=self.drain
                    )
                    nursery.cancel_scope.cancel()
            self.ended_at = None if self.ended_at is None else self.ended_at - begun

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
        return self.ended_at

    async def _at(self, deadline: float, happen: Callable[[], None]) -> None:
        await trio.sleep_until(deadline)
        happen()

    def come(self) -> None:
        self.activity += 1

    def need(self) -> None:
        self.needed = True

    def need_no_more(self) -> None:
        self.needed = False


@pytest.fixture
def life() -> Life:
    return Life()


def test_it_ends_after_the_time_that_was_asked_for(life: Life) -> None:
    assert life.run(60, {}) == 60
    assert life.reasons == ["nobody needed it for 60 s"]


def test_whoever_comes_between_two_looks_begins_the_time_anew(life: Life) -> None:
    ended = life.run(60, {16: life.come})
    # The look at 30 s sees it.
    assert ended == 90


def test_what_needs_it_keeps_it(life: Life) -> None:
    life.needed = True
    assert life.run(60, {}) is None
    assert life.run(60, {601: life.need_no_more, 200: life.need}) == 660


def test_without_the_setting_it_stays(life: Life) -> None:
    assert life.run(0, {}) is None
    assert life.reasons == []
