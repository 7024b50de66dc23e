from __future__ import annotations

import os
import sys

import pytest

from tests.bench.measure import Streamed, common_length, common_rate, line_times, longest_pause, rate, woken


def test_the_common_rate_counts_only_while_all_streams_run() -> None:
    early = [0.0, 1.0, 2.0, 3.0, 4.0]
    late = [2.0, 2.5, 3.0, 3.5, 6.0]
    assert common_rate([early, late]) == (2 + 3) / 2


def test_the_common_rate_of_one_stream_is_its_tokens_after_the_first() -> None:
    assert common_rate([[1.0, 1.5, 2.0]]) == 2.0


def test_streams_that_never_run_together_have_no_common_rate() -> None:
    with pytest.raises(SystemExit, match="never ran at the same time"):
        common_rate([[0.0, 1.0], [2.0, 3.0]])


def test_a_rate_leaves_out_the_start_of_its_window_and_has_the_end_in() -> None:
    assert rate([0.0, 1.0, 2.0, 3.0], 0.0, 2.0) == 1.0


def test_a_line_has_the_time_of_the_piece_that_ends_it() -> None:
    pieces = [(1.0, b"a delta\nanother del"), (2.0, b"ta\nsomething else\n"), (3.0, b"a delta that does not end")]
    assert line_times(pieces, b"delta") == [1.0, 2.0]


@pytest.mark.parametrize(
    ("times", "pause"),
    [([2.0, 3.0, 4.0], 2.0), ([0.5, 1.0, 1.5], 3.5), ([], 5.0), ([1.0, 2.0, 9.0], 3.0)],
)
def test_a_pause_may_begin_or_end_with_the_window(times: list[float], pause: float) -> None:
    assert longest_pause(times, 0.0, 5.0) == pause


@pytest.mark.parametrize(
    ("sequences", "length"),
    [
        ([[1, 2, 3], [1, 2, 4, 5]], 2),
        ([[1, 2], [1, 2]], 2),
        ([[1], [2]], 0),
        ([[], [2]], 0),
        ([[1, 2], [1, 3], [1]], 1),
    ],
)
def test_the_common_length_is_that_of_the_start_all_share(sequences: list[list[int]], length: int) -> None:
    assert common_length(sequences) == length


def test_what_is_measured_writes_to_a_terminal_and_its_first_and_last_words_are_timed() -> None:
    script = "import sys; print(sys.stdout.isatty(), flush=True); print('end', flush=True)"
    streamed = Streamed([sys.executable, "-c", script], dict(os.environ))
    assert b"".join(piece for _, piece in streamed.pieces) == b"True\nend\n"
    assert 0 < streamed.first_s <= streamed.last_s


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(SystemExit, match="failed with status 3"):
        Streamed([sys.executable, "-c", "print('x'); raise SystemExit(3)"], dict(os.environ))


def test_a_thread_that_ended_takes_no_wake_ups_of_the_others_along() -> None:
    assert woken({"1": 10, "2": 300}, {"1": 14, "3": 2}) == 4 + 2
