from __future__ import annotations

import threading

from agentgw_daemon.workers.model.cancellation import Cancellations


def test_a_running_request_is_stopped_at_once() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(1)
    cancellations.begin(1, flag)
    assert not flag.is_set()
    cancellations.cancel(1)
    assert flag.is_set()
    assert 1 in cancellations


def test_a_waiting_request_is_remembered_until_it_begins() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(1)
    cancellations.expect(2)
    cancellations.begin(1, flag)
    cancellations.cancel(2)
    assert not flag.is_set()
    cancellations.end(1)
    cancellations.begin(2, flag)
    assert flag.is_set()


def test_the_end_of_a_request_frees_the_next_from_its_cancel() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(1)
    cancellations.begin(1, flag)
    cancellations.cancel(1)
    cancellations.end(1)
    assert not flag.is_set()
    assert 1 not in cancellations


def test_a_cancel_that_comes_too_late_or_for_nobody_does_nothing() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(1)
    cancellations.begin(1, flag)
    cancellations.end(1)
    cancellations.cancel(1)
    cancellations.cancel(9)
    cancellations.expect(9)
    cancellations.begin(9, flag)
    assert not flag.is_set()
    assert 9 not in cancellations


def test_the_end_of_a_waiting_request_leaves_the_running_one_cancelled() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(1)
    cancellations.expect(2)
    cancellations.begin(1, flag)
    cancellations.cancel(1)
    cancellations.end(2)
    assert flag.is_set()


def test_between_batches_there_is_nothing_to_stop() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(1)
    cancellations.begin(1, flag)
    cancellations.cancel(1)
    cancellations.rest()
    assert not flag.is_set()
    assert 1 in cancellations
    cancellations.begin(1, flag)
    assert flag.is_set()


def test_a_hold_stops_what_makes_way_and_all_that_would_begin_until_it_is_over() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.begin(None, flag, makes_way=True)
    assert not cancellations.held
    cancellations.hold()
    assert flag.is_set()
    assert cancellations.held
    cancellations.rest()
    assert not flag.is_set()
    cancellations.begin(1, flag, makes_way=True)
    assert flag.is_set()
    cancellations.rest()
    cancellations.release()
    cancellations.begin(1, flag, makes_way=True)
    assert not flag.is_set()
    assert not cancellations.held


def test_a_batch_that_does_not_make_way_for_a_hold_still_ends_with_its_request() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(1)
    cancellations.begin(1, flag)
    cancellations.hold()
    assert not flag.is_set()
    cancellations.cancel(1)
    assert flag.is_set()


def test_a_batch_in_the_background_is_stopped_by_whoever_comes() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(1)
    cancellations.begin(1, flag, background=True)
    cancellations.expect(2)
    assert not flag.is_set(), "another one in the background"
    cancellations.expect(3, urgent=True)
    assert flag.is_set()
    assert 1 not in cancellations, "it goes on later"


def test_nothing_in_the_background_begins_before_one_who_came_is_known_to_all() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(3, urgent=True)
    cancellations.begin(1, flag, background=True)
    assert flag.is_set()
    cancellations.rest()
    cancellations.take_up(3)
    cancellations.begin(1, flag, background=True)
    assert not flag.is_set()


def test_the_batch_of_one_person_is_not_stopped_by_the_next() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.begin(1, flag)
    cancellations.expect(3, urgent=True)
    assert not flag.is_set()


def test_a_request_that_ended_before_it_was_taken_up_stops_nobody() -> None:
    flag, cancellations = threading.Event(), Cancellations()
    cancellations.expect(3, urgent=True)
    cancellations.end(3)
    cancellations.begin(1, flag, background=True)
    assert not flag.is_set()
