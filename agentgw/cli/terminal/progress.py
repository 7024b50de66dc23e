"""Progress on standard error: a bar for downloads, one passing line for a turn that has not begun to answer."""

from __future__ import annotations

import os
import sys
import time

from agentgw.cli.cells import cut, ljust, width
from agentgw.cli.output import is_quiet, is_terminal, one_line, size, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final, TextIO

_REDRAW_S: Final = 0.1
_BAR_CELLS: Final = 20
_STEP_PERCENT: Final = 10
# Fewer need no lines in a log.
_MANY_FILES: Final = 20


class _Line:
    """A line on a terminal that is written over: by spaces, so that no ANSI sequence is needed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0

    def show(self, text: str) -> None:
        """Replaces what was shown."""
        try:
            # A terminal that was never told its size has 0 columns.
            columns = os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            columns = 80
        # One less than the width, for writing into the last cell wraps.
        text = cut(visible(text), columns - 1)
        _write(self._stream, "\r" + ljust(text, self._shown) + ("\r" if not text else ""))
        self._shown = width(text)

    def erase(self) -> None:
        """Leaves an empty line."""
        if self._shown:
            self.show("")

    def end(self) -> None:
        """Leaves what was shown and goes to the next line."""
        if self._shown:
            _write(self._stream, "\n")
            self._shown = 0


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        # Nobody looks; what is done goes on.
        return


class Bar:
    """Name, percent, bar, bytes, rate and time left; in a pipe a line every ten percent. Never moves backwards."""

    def __init__(self, name: str, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = one_line(name)
        self._stream = stream or sys.stderr
        self._clock = clock
        self._line = _Line(self._stream) if is_terminal(self._stream) else None
        self._done = 0
        self._started: tuple[float, int] | None = None
        self._drawn = float("-inf")
        self._step = -1

    def update(self, done: int, total: int) -> None:
        """Shows that so many bytes of `total` are here; a total of 0 is unknown."""
        self._done = done = max(done, self._done)
        now = self._clock()
        if self._started is None:
            # Bytes that an earlier attempt left do not count for the rate.
            self._started = (now, done)
        if is_quiet():
            return
        if self._line is None:
            self._print_step(done, total, now)
        elif now - self._drawn >= _REDRAW_S or (total and done >= total):
            self._drawn = now
            self._line.show(self._text(done, total, now))

    def close(self) -> None:
        """The bar stays as it is and output goes on below it."""
        if self._line is not None:
            self._line.end()

    def _print_step(self, done: int, total: int, now: float) -> None:
        if not total:
            return
        step = done * 100 // total // _STEP_PERCENT
        if step > self._step:
            self._step = step
            _write(self._stream, self._text(done, total, now, bar=False) + "\n")

    def _text(self, done: int, total: int, now: float, *, bar: bool = True) -> str:
        rate = self._rate(done, now)
        speed = f"  {size(int(rate))}/s" if rate else ""
        if not total:
            return f"{self._name}  {size(done)}{speed}"
        percent = min(100, done * 100 // total)
        cells = "█" * (percent * _BAR_CELLS // 100)
        drawn = f" ▕{cells.ljust(_BAR_CELLS)}▏" if bar else " "
        left = f"  {_duration((total - done) / rate)}" if rate and done < total else ""
        return f"{self._name} {percent:3d}%{drawn} {size(done)}/{size(total)}{speed}{left}"

    def _rate(self, done: int, now: float) -> float:
        """Bytes a second since the first update."""
        if self._started is None or now <= self._started[0]:
            return 0.0
        return (done - self._started[1]) / (now - self._started[0])


class IngestProgress:
    """Files, bar, chunks, rate and time left of an ingest; in a pipe a line every ten percent of many files."""

    def __init__(self, *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._line = _Line(self._stream) if is_terminal(self._stream) and not is_quiet() else None
        self._step = 0

    def update(self, progress: Mapping[str, Any]) -> None:
        """Shows a `document.progress`."""
        done, total = int(progress.get("files_done", 0)), int(progress.get("files_total", 0))
        if self._line is not None:
            self._line.show(self._text(progress, done, total))
            return
        step = done * 100 // total // _STEP_PERCENT if total >= _MANY_FILES else 0
        # The end alone is told by what comes of it.
        if step > self._step and (self._step or done < total) and not is_quiet():
            self._step = step
            _write(self._stream, self._text(progress, done, total, bar=False) + "\n")

    def close(self) -> None:
        """Erases the line, so that the result has room."""
        if self._line is not None:
            self._line.erase()

    @staticmethod
    def _text(progress: Mapping[str, Any], done: int, total: int, *, bar: bool = True) -> str:
        if not total:
            return "looking for files"
        cells = "█" * (done * _BAR_CELLS // total)
        drawn = f" ▕{cells.ljust(_BAR_CELLS)}▏" if bar else ""
        chunks, rate, left = progress.get("chunks", 0), progress.get("rate", 0.0), progress.get("eta_s")
        parts = [f"{done}/{total} files{drawn}", f"{chunks} chunks"]
        parts += [f"{rate:.0f} chunks/s"] if rate else []
        parts += [f"{_duration(left)} left"] if left is not None and done < total else []
        parts += [one_line(str(progress["source"]))] if bar and progress.get("source") else []
        return "  ".join(parts)


class RecordMeter:
    """Records, bar, rate and time left of a `map`, on a terminal only. `total_bytes` of input, where that is known."""

    def __init__(
        self,
        total_bytes: int | None,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        stream = stream or sys.stderr
        self._line = _Line(stream) if is_terminal(stream) and not is_quiet() else None
        self._total_bytes = total_bytes
        self._clock = clock
        self._records = self._done_bytes = self._asked = self._asked_bytes = 0
        # The rate is that of answers: records that need none do not count for it.
        self._started = clock()
        self._drawn = float("-inf")

    def update(self, size: int, *, failed: int, asked: bool) -> None:
        """Shows that a record of `size` bytes has its line; `asked`: somebody had to answer."""
        self._records += 1
        self._done_bytes += size
        if asked:
            self._asked += 1
            self._asked_bytes += size
        now = self._clock()
        if self._line is not None and now - self._drawn >= _REDRAW_S:
            self._drawn = now
            self._line.show(self._text(failed, now))

    def wait(self, phase: str, done: int, total: int) -> None:
        """Shows a `turn.progress`, as long as there is no answer yet."""
        if self._line is not None:
            self._line.show(words_of(phase, done, total, None))

    def erase(self) -> None:
        """Makes room for another line on the terminal."""
        if self._line is not None:
            self._line.erase()

    def make_room(self) -> None:
        """Makes room for output, where that goes to the same place."""
        if self._line is not None and is_terminal(sys.stdout):
            self._line.erase()
            self._drawn = float("-inf")

    def _text(self, failed: int, now: float) -> str:
        passed_s = max(now - self._started, 0.001)
        parts = [f"{self._records} records"]
        if self._total_bytes:
            share = min(1.0, self._done_bytes / self._total_bytes)
            parts[0] += f" ▕{('█' * int(share * _BAR_CELLS)).ljust(_BAR_CELLS)}▏ {share * 100:.0f}%"
        parts.append(f"{self._asked / passed_s:.1f}/s")
        if self._total_bytes and self._asked_bytes:
            left = max(0, self._total_bytes - self._done_bytes) * passed_s / self._asked_bytes
            parts.append(f"{_duration(left)} left")
        if failed:
            parts.append(f"{failed} failed")
        return "  ".join(parts)


class Status:
    """Passing line about a turn that waits, on a terminal only; erased before the answer begins."""

    def __init__(self, stream: TextIO | None = None) -> None:
        stream = stream or sys.stderr
        self._line = _Line(stream) if is_terminal(stream) and not is_quiet() else None
        self._shown = False

    def show(self, phase: str, done: int, total: int, position: int | None) -> None:
        """Shows a `turn.progress`."""
        if self._line is not None:
            self._line.show(words_of(phase, done, total, position))
            self._shown = True

    def erase(self) -> None:
        """Makes room."""
        if self._shown and self._line is not None:
            self._line.erase()
            self._shown = False


def words_of(phase: str, done: int, total: int, position: int | None) -> str:
    """A `turn.progress` for people."""
    share = f" {min(100, done * 100 // total)}%" if total else ""
    words = {
        "loading": f"loading the model{share}", "prefill": f"reading the prompt{share}",
        "answering": f"answering{share}", "delegated": f"another agent is at work, {done} words so far",
    }  # fmt: skip
    waiting = f"waiting, place {position} in the queue" if position else "waiting"
    return words.get(phase, waiting)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, last = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{last:02d}s" if minutes else f"{last}s"
