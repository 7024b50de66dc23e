"""`make bench`: measures, prints a table, writes bench.json. Ratios come from one run on one machine.

`python -m tests.bench [--only CASE,…] [--rounds N] [--json FILE]`
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
from collections.abc import Iterable

from agentgw import __version__
from tests.bench.cases import CASES
from tests.bench.setting import Figure, Setting


def main() -> None:
    """Runs the cases asked for, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(CASES), metavar="CASE,…", help=f"of: {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=7, help="samples of a slow case")
    parser.add_argument("--json", default="bench.json", metavar="FILE", help="where the figures go")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - CASES.keys():
        parser.error(f"no case {', '.join(sorted(unknown))}")
    figures = []
    with Setting(rounds=options.rounds) as setting:
        for name in names:
            print(f"{name} …", flush=True)
            figures += CASES[name](setting)
    print(table(figures))
    report = {
        "version": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "figures": [{**dataclasses.asdict(figure), "met": figure.met} for figure in figures],
    }
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1, ensure_ascii=False)


def table(figures: Iterable[Figure]) -> str:
    """One line a figure, its commands below."""
    rows = [("case", "what", "measured", "baseline", "ratio", "target", "met")]
    notes = []
    for figure in figures:
        rows.append(
            (
                figure.case,
                figure.what,
                f"{_number(figure.measured)} {figure.unit}".rstrip(),
                "" if figure.baseline is None else f"{_number(figure.baseline)} {figure.unit}",
                "" if figure.ratio is None else f"{figure.ratio:.2f}",
                f"at {figure.at} {figure.target:g}",
                "yes" if figure.met else "NO",
            )
        )
        against = f"  against  {figure.baseline_command}" if figure.baseline_command else ""
        notes.append(f"{figure.case}: {figure.command}{against}")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(("", *lines, "", *notes))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
