"""Search for the settings that run a model fastest on this machine: probes, their order, and the choice.

Pure: `search` names one probe after the other and is sent the rate that somebody measured. It looks at one setting
at a time, in the order of what it may win, and leaves a direction at the first step that does not pay: some ten
probes, where the full grid has a hundred.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator, Sequence
from typing import Final

from agentgw.protocol.tuning import Tuning
from agentgw_daemon.workers.protocol.footprint import DEFAULT_BATCH_TOKENS

# A turn as people have them: the system prompt and what was said before are in the cache, so what is read is the new
# message and what tools found; what is written is about as long, and takes three times as long or more.
TURN_PROMPT_TOKENS: Final = 256
TURN_ANSWER_TOKENS: Final = 256
# By so much a setting must be better than the one before it: two runs of the same thing differ by as much.
MARGIN: Final = 0.03
OTHER_BATCHES: Final = (512, 128)
# A batch is computed as a whole: whoever comes meanwhile waits for it, so a larger one must not take longer than this.
MAX_PIECE_S: Final = 1.5
# Below this many cores one thread is worth a try: a core that others use too holds up all threads of a batch.
FEW_CORES: Final = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Cores that this process may use."""

    physical: int
    logical: int
    offload: bool = False  # to a GPU


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing to measure with these settings: `streams` that decode together; none of them: reading a prompt."""

    tuning: Tuning
    streams: int

    @property
    def key(self) -> tuple[str, int, int, int]:
        """Equal for probes that measure the same: threads of the other kind do not count, nor does an idle batch."""
        tuning = self.tuning
        if self.streams:
            return tuning.attention, tuning.threads, 0, self.streams
        return tuning.attention, tuning.threads_batch, tuning.batch_tokens, 0


Search = Generator[Probe, float, Tuning]
_Cost = Generator[Probe, float, float]


def with_defaults(asked: Tuning, cores: Cores) -> Tuning:
    """The settings before anything was measured: a thread a core decodes, one a hyper-thread reads.

    On processors llama.cpp's flash attention decoded at two thirds of the speed where it was measured, and read a
    tenth faster; on GPUs its own choice is the better guess.
    """
    return Tuning(
        attention=asked.attention if asked.attention != "auto" or cores.offload else "plain",
        threads=asked.threads or cores.physical,
        threads_batch=asked.threads_batch or cores.logical,
        batch_tokens=asked.batch_tokens or DEFAULT_BATCH_TOKENS,
    )


def search(asked: Tuning, cores: Cores, *, slots: int, most_batch_tokens: int) -> Search:
    """The best settings for what `asked` leaves open. Send the tokens a second of each probe; 0 if it failed.

    Attention comes first, as it changes everything; then decoding threads, reading threads and the batch.
    """
    best = with_defaults(asked, cores)
    if asked.attention == "auto":
        best = yield from _attention(best, slots)
    if not asked.threads:
        ways = [[dataclasses.replace(best, threads=n) for n in way] for way in thread_counts(cores)]
        best = yield from _climb(best, ways, lambda one: _decode_s(one, slots))
    if not asked.threads_batch:
        others = {cores.physical, cores.logical} - {best.threads_batch}
        best = yield from _climb(best, [[dataclasses.replace(best, threads_batch=n)] for n in others], _read_s)
    if not asked.batch_tokens:
        ways = [[dataclasses.replace(best, batch_tokens=n)] for n in OTHER_BATCHES]
        best = yield from _climb(best, ways, lambda one: _piece_s(one, most_batch_tokens))
    return best


def thread_counts(cores: Cores) -> list[list[int]]:
    """Counts to try from one thread a core on, each list for as long as it gets better: fewer, then
    hyper-threads.
    """
    fewer = [cores.physical // 2]
    if cores.physical <= FEW_CORES:
        fewer.append(1)
    fewer = [count for count in dict.fromkeys(fewer) if 0 < count < cores.physical]
    return [fewer, [cores.logical] if cores.logical > cores.physical else []]


def turn_s(read_s: float, decode_s: float) -> float:
    """Seconds of a typical turn, from seconds a token."""
    return TURN_PROMPT_TOKENS * read_s + TURN_ANSWER_TOKENS * decode_s


def _attention(best: Tuning, slots: int) -> Search:
    """Flash unless plain attention makes turns shorter: flash needs less memory and is llama.cpp's own choice."""
    seconds = {}
    for attention in ("flash", "plain"):
        tuning = dataclasses.replace(best, attention=attention)
        read_s = yield from _read_s(tuning)
        decode_s = (yield from _decode_s(tuning, slots)) if math.isfinite(read_s) else math.inf
        seconds[attention] = turn_s(read_s, decode_s)
    if math.isinf(min(seconds.values())):
        return best
    plain = seconds["plain"] < seconds["flash"] * (1 - MARGIN)
    return dataclasses.replace(best, attention="plain" if plain else "flash")


def _climb(best: Tuning, ways: Sequence[Sequence[Tuning]], cost: Callable[[Tuning], _Cost]) -> Search:
    """Go each way while it pays; once one did, the others lead back."""
    if not any(ways):
        return best
    least = yield from cost(best)
    for way in ways:
        moved = False
        for tuning in way:
            seconds = yield from cost(tuning)
            if not seconds < least * (1 - MARGIN):
                break
            best, least, moved = tuning, seconds, True
        if moved:
            break
    return best


def _read_s(tuning: Tuning) -> _Cost:
    rate = yield Probe(tuning=tuning, streams=0)
    return 1 / rate if rate > 0 else math.inf


def _decode_s(tuning: Tuning, slots: int) -> _Cost:
    """Seconds of machine time a token. With several slots half of the tokens come while all of them decode."""
    alone = yield Probe(tuning=tuning, streams=1)
    if alone <= 0:
        return math.inf
    if slots == 1:
        return 1 / alone
    together = yield Probe(tuning=tuning, streams=slots)
    return 0.5 / alone + 0.5 / together if together > 0 else math.inf


def _piece_s(tuning: Tuning, most_tokens: int) -> _Cost:
    if tuning.batch_tokens > most_tokens:
        return math.inf
    read_s = yield from _read_s(tuning)
    too_long = tuning.batch_tokens > DEFAULT_BATCH_TOKENS and tuning.batch_tokens * read_s > MAX_PIECE_S
    return math.inf if too_long else read_s
