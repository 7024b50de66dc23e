"""Settings that a model runs with, and the figures they follow from: on the socket, on disk and in a worker's pipe.

Apart from `types`, because a model worker imports them and nothing else of the contract. Zero and "auto" are not
decided. Does no I/O.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from agentgw.protocol.records.schema import Limit, record


@record
class Tuning:
    """Settings that a model runs with on this machine."""

    attention: Annotated[Literal["auto", "flash", "plain"], "auto: llama.cpp chooses"]
    threads: Annotated[int, "that decode", Limit(minimum=0, maximum=1024)]
    threads_batch: Annotated[int, "that read prompts", Limit(minimum=0, maximum=1024)]
    batch_tokens: Annotated[int, "of a prompt that are computed at a time", Limit(minimum=0, maximum=4096)]


@record
class Measurement:
    """One figure of a calibration; with `streams` 0 a prompt was read, else so many streams decoded together."""

    attention: str
    threads: int
    batch_tokens: int
    streams: int
    tokens_per_s: Annotated[float, "of all streams; 0: it does not work that way", Limit(minimum=0)]


# The worker or llama.cpp chooses all of it.
UNDECIDED: Final = Tuning(attention="auto", threads=0, threads_batch=0, batch_tokens=0)
