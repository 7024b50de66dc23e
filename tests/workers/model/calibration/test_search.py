from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.protocol.tuning import UNDECIDED, Tuning
from agentgw_daemon.workers.model.calibration.search import (
    MAX_PIECE_S,
    Cores,
    Probe,
    search,
    thread_counts,
    turn_s,
    with_defaults,
)
from agentgw_daemon.workers.protocol.footprint import DEFAULT_BATCH_TOKENS

DUAL = Cores(physical=2, logical=2)
HYPER = Cores(physical=4, logical=8)


def found(
    rate: Callable[[Probe], float],
    asked: Tuning | None = None,
    *,
    cores: Cores = DUAL,
    slots: int = 1,
    most: int = 512,
) -> tuple[Tuning, list[Probe]]:
    """The settings that a search on this machine ends with, and what it measured on the way."""
    searching, probes = search(asked or UNDECIDED, cores, slots=slots, most_batch_tokens=most), []
    probe = next(searching)
    while True:
        assert len(probes) < 1000, "it searches on and on"
        probes.append(probe)
        try:
            probe = searching.send(rate(probe))
        except StopIteration as end:
            return end.value, probes


def figures(**plain: float) -> Callable[[Probe], float]:
    """A machine on which only attention makes a difference: tokens a second of reading, one stream and several."""

    def rate(probe: Probe) -> float:
        kind = "read" if probe.streams == 0 else "one" if probe.streams == 1 else "several"
        with_flash = {"read": 180.0, "one": 53.5, "several": 64.5}
        return plain[kind] if probe.tuning.attention == "plain" and kind in plain else with_flash[kind]

    return rate


def test_plain_attention_is_worth_a_slower_prompt_where_several_streams_win_a_third() -> None:
    rate = figures(read=160, one=57, several=90)
    assert found(rate, slots=4)[0].attention == "plain"


def test_one_slot_does_not_care_how_fast_several_streams_are() -> None:
    rate = figures(read=160, one=54, several=900)
    best, probes = found(rate)
    assert best.attention == "flash"
    assert {probe.streams for probe in probes} == {0, 1}


def test_what_is_within_the_noise_stays_as_it_is() -> None:
    rates = iter([100.0, 101.0, 99.0, 102.0] * 20)
    best, _ = found(lambda probe: next(rates))
    assert best == Tuning(attention="flash", threads=2, threads_batch=2, batch_tokens=DEFAULT_BATCH_TOKENS)


def test_one_thread_decodes_where_two_hold_each_other_up() -> None:
    best, _ = found(lambda probe: 60.0 if probe.streams and probe.tuning.threads == 1 else 50.0)
    assert (best.threads, best.threads_batch) == (1, 2)


def test_hyper_threads_are_taken_where_they_pay() -> None:
    best, _ = found(lambda probe: float(probe.tuning.threads if probe.streams else 100), cores=HYPER)
    assert best.threads == 8
    best, _ = found(lambda probe: 100.0 - probe.tuning.threads_batch, cores=HYPER)
    assert (best.threads, best.threads_batch) == (4, 4)


def test_a_direction_is_left_at_the_first_step_that_does_not_pay() -> None:
    _, probes = found(lambda probe: 50.0 - abs(2 - probe.tuning.threads), cores=HYPER)
    assert {probe.tuning.threads for probe in probes} == {4, 2, 1}
    _, probes = found(lambda probe: float(probe.tuning.threads), cores=Cores(physical=4, logical=4))
    assert {probe.tuning.threads for probe in probes} == {4, 2}


@pytest.mark.parametrize(
    ("cores", "counts"), [(Cores(physical=1, logical=1), [[], []]), (DUAL, [[1], []]), (HYPER, [[2, 1], [8]]),
                          (Cores(physical=16, logical=32), [[8], [32]])],
)  # fmt: skip
def test_which_numbers_of_threads_are_tried(cores: Cores, counts: list[list[int]]) -> None:
    assert thread_counts(cores) == counts


def test_a_larger_batch_is_taken_only_if_nobody_waits_long_for_it() -> None:
    def rate(speed: float) -> Callable[[Probe], float]:
        return lambda probe: speed * (1.2 if probe.tuning.batch_tokens == 512 else 1.0)

    assert found(rate(400))[0].batch_tokens == 512
    assert MAX_PIECE_S < 512 / (100 * 1.2)
    assert found(rate(100))[0].batch_tokens == DEFAULT_BATCH_TOKENS
    best, probes = found(rate(400), most=400)
    assert best.batch_tokens == DEFAULT_BATCH_TOKENS
    assert 512 not in {probe.tuning.batch_tokens for probe in probes}


def test_a_smaller_batch_is_taken_where_it_is_faster() -> None:
    assert found(lambda probe: 1000.0 / probe.tuning.batch_tokens)[0].batch_tokens == 128


def test_attention_that_does_not_work_is_not_taken() -> None:
    assert found(lambda probe: 0.0 if probe.tuning.attention == "flash" else 1.0)[0].attention == "plain"
    assert found(lambda probe: 0.0)[0] == with_defaults(UNDECIDED, DUAL), "nothing works: nothing is known"


def test_what_was_asked_for_is_not_measured() -> None:
    asked = Tuning(attention="plain", threads=1, threads_batch=1, batch_tokens=64)
    with pytest.raises(StopIteration) as end:
        next(search(asked, DUAL, slots=4, most_batch_tokens=512))
    assert end.value.value == asked


def test_a_typical_turn_is_mostly_decoding() -> None:
    assert turn_s(1 / 180, 0) < turn_s(0, 1 / 60) / 2


@given(
    st.dictionaries(st.tuples(st.sampled_from(["auto", "flash", "plain"]), st.integers(0, 9)), st.floats(0, 1e4)),
    st.integers(1, 64), st.integers(1, 4), st.integers(1, 8), st.integers(64, 512),
)  # fmt: skip
def test_any_machine_ends_the_search_soon_with_settings_that_can_be_used(
    rates: dict[tuple[str, int], float], physical: int, threads_a_core: int, slots: int, most: int
) -> None:
    cores = Cores(physical=physical, logical=physical * threads_a_core)

    def rate(probe: Probe) -> float:
        return rates.get((probe.tuning.attention, probe.tuning.threads % 10), 1.0)

    best, probes = found(rate, cores=cores, slots=slots, most=most)
    assert best.attention in ("auto", "flash", "plain")
    assert 1 <= best.threads <= cores.logical
    assert 1 <= best.threads_batch <= cores.logical
    assert best.batch_tokens in (128, 256, 512)
    assert len({probe.key for probe in probes}) <= 20
