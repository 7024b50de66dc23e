"""Settings of workers in tests."""

from __future__ import annotations

import dataclasses
from typing import Literal

from agentgw.protocol.tuning import UNDECIDED, Tuning


def tuning(
    *,
    attention: Literal["auto", "flash", "plain"] = "auto",
    threads: int = 0,
    threads_batch: int = 0,
    batch_tokens: int = 0,
) -> Tuning:
    """These settings, and the rest not decided."""
    return dataclasses.replace(
        UNDECIDED, attention=attention, threads=threads, threads_batch=threads_batch, batch_tokens=batch_tokens
    )


# Two threads spin while they wait for each other, which on a busy machine is most of their time.
ONE_THREAD = tuning(threads=1, threads_batch=1)
