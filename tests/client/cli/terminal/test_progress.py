from __future__ import annotations

import io
import itertools

import pytest

from agentgw.cli import output
from agentgw.cli.terminal import progress
from agentgw.cli.terminal.progress import Bar, RecordMeter, Status
from tests.client.commandline import talkative as talkative


class Screen(io.StringIO):
    """Counts as a terminal; `seen` is what its one line shows."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError

    def seen(self) -> str:
        return self.getvalue().rpartition("\n")[2].rpartition("\r")[2].rstrip()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bar_shows_name_share_bytes_rate_and_time_left() -> None:
    screen, clock = Screen(), Clock()
    bar = Bar("smollm2:135m", stream=screen, clock=clock)
    bar.update(0, 100_000_000)
    assert screen.seen() == "smollm2:135m   0% ▕                    ▏ 0 B/100 MB"
    clock.now = 2.0
    bar.update(50_000_000, 100_000_000)
    assert screen.seen() == "smollm2:135m  50% ▕██████████          ▏ 50 MB/100 MB  25 MB/s  2s"
    clock.now = 4.0
    bar.update(100_000_000, 100_000_000)
    assert screen.seen() == "smollm2:135m 100% ▕████████████████████▏ 100 MB/100 MB  25 MB/s"
    bar.close()
    assert screen.getvalue().endswith("\n")


def test_a_resumed_download_is_not_counted_into_the_rate() -> None:
    screen, clock = Screen(), Clock()
    bar = Bar("m", stream=screen, clock=clock)
    bar.update(90_000_000, 100_000_000)
    clock.now = 1.0
    bar.update(91_000_000, 100_000_000)
    assert "1 MB/s  9s" in screen.seen()


def test_a_bar_never_moves_backwards() -> None:
    screen, clock = Screen(), Clock()
    bar = Bar("m", stream=screen, clock=clock)
    for now, done in enumerate((50, 20, 60)):
        clock.now = now
        bar.update(done * 1000, 100_000)
    shares = [part.split("%")[0].split()[-1] for part in screen.getvalue().split("\r") if "%" in part]
    assert shares == ["50", "50", "60"]


def test_a_bar_is_drawn_ten_times_a_second_at_most_and_always_at_the_end() -> None:
    screen, clock = Screen(), Clock()
    bar = Bar("m", stream=screen, clock=clock)
    for step in range(1001):
        clock.now = step / 1000
        bar.update(step, 1000)
    assert 10 <= screen.getvalue().count("\r") <= 12
    assert "100%" in screen.seen()


def test_in_a_pipe_there_is_a_line_every_ten_percent() -> None:
    stream, clock = io.StringIO(), Clock()
    bar = Bar("m", stream=stream, clock=clock)
    for done in (*range(0, 1000, 7), 300, 1000):
        bar.update(done, 1000)
    bar.close()
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == [
        "0%",
        "10%",
        "20%",
        "30%",
        "40%",
        "50%",
        "60%",
        "70%",
        "80%",
        "90%",
        "100%",
    ]
    assert lines[-1] == "m 100%  1 kB/1 kB"


def test_a_total_that_is_unknown_is_left_out() -> None:
    screen, clock = Screen(), Clock()
    bar = Bar("m", stream=screen, clock=clock)
    bar.update(1000, 0)
    assert screen.seen() == "m  1 kB"


def test_nothing_is_shown_when_that_is_unwanted() -> None:
    output.be_quiet()
    for stream in (Screen(), io.StringIO()):
        bar, status = Bar("m", stream=stream), Status(stream)
        bar.update(1, 2)
        status.show("loading", 1, 2, None)
        bar.close()
        status.erase()
        assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (("loading", 1, 4, None), "loading the model 25%"),
        (("loading", 0, 0, None), "loading the model"),
        (("prefill", 512, 1024, None), "reading the prompt 50%"),
        (("queued", 0, 0, 3), "waiting, place 3 in the queue"),
        (("delegated", 64, 0, None), "another agent is at work, 64 words so far"),
    ],
)
def test_a_waiting_turn_is_one_passing_line(event: tuple[str, int, int, int | None], words: str) -> None:
    screen = Screen()
    status = Status(screen)
    status.show(*event)
    assert screen.seen() == words
    status.erase()
    assert screen.seen() == ""
    assert screen.getvalue().endswith("\r")


def test_a_shorter_line_covers_a_longer_one() -> None:
    screen = Screen()
    status = Status(screen)
    status.show("queued", 0, 0, 12)
    status.show("loading", 0, 0, None)
    last = screen.getvalue().rpartition("\r")[2]
    assert last == "loading the model".ljust(len("waiting, place 12 in the queue"))


def test_a_status_is_not_written_into_a_pipe() -> None:
    stream = io.StringIO()
    Status(stream).show("loading", 0, 0, None)
    assert stream.getvalue() == ""


def test_no_ansi_sequence_is_ever_written() -> None:
    screen, clock = Screen(), Clock()
    bar, status = Bar("m\x1b[31m", stream=screen, clock=clock), Status(screen)
    for clock.now, done in zip(itertools.count(), range(5)):
        bar.update(done, 5)
        status.show("prefill", done, 5, None)
    status.erase()
    bar.close()
    assert "\x1b" not in screen.getvalue()


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0s"), (59.6, "1m00s"), (61, "1m01s"), (3725, "1h02m")])
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert progress._duration(seconds) == words


def test_records_are_counted_with_their_share_rate_and_time_left() -> None:
    screen, clock = Screen(), Clock()
    meter = RecordMeter(100, stream=screen, clock=clock)
    clock.now += 2.0
    meter.update(20, failed=1, asked=True)
    last = screen.getvalue().rpartition("\r")[2]
    assert last == "1 records ▕████                ▏ 20%  0.5/s  8s left  1 failed"


def test_answers_that_were_there_already_do_not_count_for_the_rate() -> None:
    screen, clock = Screen(), Clock()
    meter = RecordMeter(None, stream=screen, clock=clock)
    meter.update(50, failed=0, asked=False)
    clock.now += 4.0
    meter.update(50, failed=0, asked=True)
    assert screen.getvalue().rpartition("\r")[2].rstrip() == "2 records  0.2/s"


def test_records_are_not_counted_into_a_pipe() -> None:
    stream = io.StringIO()
    meter = RecordMeter(100, stream=stream)
    meter.wait("loading", 0, 0)
    meter.update(50, failed=0, asked=True)
    meter.make_room()
    meter.erase()
    assert stream.getvalue() == ""
