"""A baseline's own side of `baseline.Baseline`. Standard library only: it runs in the other environment too."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Round = Callable[[Any], object]


def serve(make: Callable[[dict[str, Any]], Round]) -> None:
    """Makes a round of the first line of standard input, then answers every further line with one."""
    answer = make(json.loads(sys.stdin.readline()))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
