"""`make bench`: measures, prints a table, writes bench.json. Ratios come from one run on one machine.

`python -m tests.bench [--only CASE,…] [--rounds N] [--json FILE]`
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform

from agentgw import __version__
from tests.bench.cases import CASES
from tests.bench.figure import Figure, Skipped, table
from tests.bench.setting import Setting


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
    figures: list[Figure] = []
    skipped: dict[str, str] = {}
    with Setting(rounds=options.rounds) as setting:
        for name in names:
            print(f"{name} …", flush=True)
            try:
                figures += CASES[name](setting)
            except Skipped as reason:
                skipped[name] = str(reason)
                print(f"{name} is skipped: {reason}", flush=True)
    print(table(figures))
    report = {
        "version": __version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "figures": [{**dataclasses.asdict(figure), "met": figure.met} for figure in figures],
        "skipped": skipped,
    }
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
