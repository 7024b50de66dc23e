from __future__ import annotations

from tests.bench.in_force import Engine, reported

DEFAULTS = Engine(n_ctx_tokens=8192, batch_tokens=256, threads=2, threads_batch=4)


def test_without_a_report_the_defaults_hold() -> None:
    assert reported(DEFAULTS, {"model": {"name": "m", "state": "loaded"}, "metadata": {}}) == DEFAULTS


def test_what_is_reported_takes_the_place_of_the_defaults_at_any_depth() -> None:
    shown = {"model": {"engine": {"threads": 1, "attention": "plain"}}, "batch_tokens": 128}
    assert reported(DEFAULTS, shown) == Engine(
        n_ctx_tokens=8192, batch_tokens=128, threads=1, threads_batch=4, attention="plain"
    )


def test_metadata_of_the_file_is_no_report() -> None:
    assert reported(DEFAULTS, {"metadata": {"threads": 7}}) == DEFAULTS


def test_nothing_and_other_kinds_of_value_are_no_report() -> None:
    assert reported(DEFAULTS, {"threads": 0, "threads_batch": "many", "attention": ""}) == DEFAULTS
