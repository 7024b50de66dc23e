"""One measured figure with its target, and the table of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

Bound = Literal["most", "least"]


class Skipped(Exception):
    """A case that this agentgw cannot be measured by yet; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measurement, its baseline, and whether it is enough. Samples and figures are in `unit`.

    Without a target it is there for information.
    """

    case: str
    what: str
    command: str
    baseline_command: str = ""
    unit: str
    measured: float
    baseline: float | None = None
    ratio: float | None = None
    at: Bound = "least"
    target: float | None = None
    samples: Sequence[float] = ()
    baseline_samples: Sequence[float] = ()

    @classmethod
    def compared(
        cls, case: str, what: str, commands: tuple[str, str], samples: Sequence[Sequence[float]], *, unit: str,
        at: Bound = "least", target: float | None = None, inverse: bool = False,
    ) -> Self:  # fmt: skip
        """A ratio: the median of the rounds' own ratios, because the samples of a round saw the same machine.

        `samples` are ours and the baseline's; with `inverse` the ratio is theirs to ours.
        """
        ours, theirs = samples
        above, below = (theirs, ours) if inverse else (ours, theirs)
        return cls(
            case=case, what=what, command=commands[0], baseline_command=commands[1], unit=unit,
            measured=statistics.median(ours), baseline=statistics.median(theirs),
            ratio=statistics.median(a / b for a, b in zip(above, below, strict=True)),
            at=at, target=target, samples=ours, baseline_samples=theirs,
        )  # fmt: skip

    @property
    def met(self) -> bool | None:
        """Tells whether the ratio, or without one the figure itself, keeps to the target; None without a target."""
        if self.target is None:
            return None
        value = self.measured if self.ratio is None else self.ratio
        return value <= self.target if self.at == "most" else value >= self.target

    def row(self) -> tuple[str, ...]:
        """The figure's line in the table."""
        return (
            self.case,
            self.what,
            f"{_number(self.measured)} {self.unit}".rstrip(),
            "" if self.baseline is None else f"{_number(self.baseline)} {self.unit}",
            "" if self.ratio is None else f"{self.ratio:.3f}" if self.ratio < 0.1 else f"{self.ratio:.2f}",
            "" if self.target is None else f"at {self.at} {self.target:g}",
            {True: "yes", False: "NO", None: ""}[self.met],
        )


def table(figures: Iterable[Figure]) -> str:
    """One line a figure, the commands below."""
    rows: list[tuple[str, ...]] = [("case", "what", "measured", "baseline", "ratio", "target", "met")]
    notes = []
    for figure in figures:
        rows.append(figure.row())
        against = f"  against  {figure.baseline_command}" if figure.baseline_command else ""
        notes.append(f"{figure.case}: {figure.command}{against}")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(("", *lines, "", *notes))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
