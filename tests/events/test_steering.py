from __future__ import annotations

from agentgw_daemon.events.steering import MOST_WAITING, RecordedSteering, Steering


def test_words_are_given_once_and_the_last_step_without_words_closes() -> None:
    steering = Steering()
    steering.add("one")
    steering.add("two")
    assert steering.after_step(1, last=True) == ("one", "two")
    assert steering.is_open
    assert steering.after_step(2, last=False) == ()
    assert steering.is_open
    assert steering.after_step(3, last=True) == ()
    assert not steering.is_open


def test_no_more_wait_than_anybody_says() -> None:
    steering = Steering(map(str, range(MOST_WAITING)))
    assert steering.is_full


def test_recorded_words_come_after_the_steps_they_came_after() -> None:
    steering = RecordedSteering([(), ("b",)])
    assert [steering.after_step(n, last=True) for n in (1, 2, 3)] == [(), ("b",), ()]
