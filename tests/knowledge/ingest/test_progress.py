"""Progress of an ingest: how far, how fast, how long still."""

from __future__ import annotations

from agentgw_daemon.knowledge.ingest.progress import ProgressMeter


def test_time_left_is_reckoned_by_bytes() -> None:
    meter = ProgressMeter()
    meter.found(10, 0)
    assert meter.snapshot(0.0).eta_s is None
    meter.found(0, 1000)
    meter.embedded(5, 100)
    assert meter.snapshot(1.0).chunks == 0
    meter.stored(5)
    meter.passed()
    progress = meter.snapshot(2.0)
    assert (progress.files_done, progress.files_total, progress.chunks) == (1, 10, 5)
    assert progress.eta_s == 18.0
    assert progress.rate == 2.5


def test_the_rate_is_that_of_the_last_seconds() -> None:
    meter = ProgressMeter()
    meter.found(1, 100_000)
    for second in range(100):
        meter.embedded(10 if second < 50 else 2, 1)
        progress = meter.snapshot(float(second))
    assert progress.rate == 2.0


def test_what_needs_no_embedding_counts_for_the_time_left() -> None:
    meter = ProgressMeter()
    meter.found(2, 100)
    meter.snapshot(0.0)
    meter.passed(1, 50)
    assert meter.snapshot(1.0).eta_s == 1.0
    meter.passed(1, 50)
    assert meter.snapshot(2.0).eta_s == 0.0


def test_a_source_that_is_no_text_is_shown_escaped() -> None:
    meter = ProgressMeter()
    assert meter.snapshot(0.0).source is None
    meter.source = "/caf\udce9"
    assert meter.snapshot(0.0).source == "/caf\\xe9"
