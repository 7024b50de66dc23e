"""Rate at which text streams to clients: one stream, four together, one beside a long prompt."""

from __future__ import annotations

import dataclasses
import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tests.bench.baseline import Baseline
from tests.bench.figure import Figure
from tests.bench.in_force import engine
from tests.bench.measure import Streamed, common_rate, interleave, line_times, longest_pause, rate
from tests.bench.setting import BENCH_PYTHON, FOUR, GREEDY, MODEL, Setting, shown
from tests.bench.texts import STORY, prose

STORIES: Final = (
    STORY,
    "Write a long story about a village in the mountains and its clock.",
    "Write a long story about two children who find a map in a library.",
    "Write a long story about the first winter of a young doctor in the north.",
)
SYSTEM: Final = "You are a writer of long stories."
SHARED_WORDS: Final = 1_000
TOKENS: Final = 160
TOGETHER_TOKENS: Final = 96
# A prompt of this many words has 4,000 tokens; the stream has this long for itself before, its start included.
LONG_WORDS: Final = 3_500
ALONE_S: Final = 4.0
# Less of both together says little.
BESIDE_S: Final = 20.0
DELTA: Final = b'"turn.delta"'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that is asked on all sides, greedily."""

    system: str
    message: str
    tokens: int
    kept: bool = False  # in a session, as most turns are

    def words(self) -> list[str]:
        """The command line behind `agentgw`."""
        return [*self._begin(), "--system", self.system, *GREEDY, "-o", f"max_tokens={self.tokens}", self.message]

    def _begin(self) -> list[str]:
        return ["run", *(() if self.kept else ("--no-session",)), "-m", str(MODEL)]

    def chat(self) -> list[dict[str, str]]:
        """The question as messages."""
        return [{"role": "system", "content": self.system}, {"role": "user", "content": self.message}]

    def shown(self) -> str:
        """The command line without its texts."""
        return shown(["agentgw", *self._begin(), *GREEDY, f"-o max_tokens={self.tokens}", "…"])


def decode(setting: Setting) -> Iterator[Figure]:
    """Tokens a second of one stream at the client's standard output."""
    question = Question(system=SYSTEM, message=STORY, tokens=TOKENS)
    tokens: int = setting.result(*question.words())["usage"]["completion_tokens"]
    command = [setting.agentgw, *question.words()]

    def ours() -> float:
        streamed = Streamed(command, setting.environment)
        return (tokens - 1) / (streamed.last_s - streamed.first_s)

    setup = _setup(setting, [question])
    with _bare(setup) as bare, Baseline("high_level", setup) as library, _server(setup) as server:
        clocks = (ours, _clock(bare), _clock(server), _clock(library))
        interleave(clocks[1:], 1)
        samples = interleave(clocks, setting.rounds)
    against = (
        (f"the bare low-level loop, {tokens} tokens, greedy", 0.97),
        ("llama.cpp's server core, same context and threads", 1),
        ("Llama.create_chat_completion(stream=True)", None),
    )
    for theirs, (what, target) in zip(samples[1:], against, strict=True):
        yield Figure.compared(
            "decode", f"one stream at the client's stdout, against {_short(what)}", (question.shown(), what),
            (samples[0], theirs), unit="tok/s", target=target,
        )  # fmt: skip


def streams(setting: Setting) -> Iterator[Figure]:
    """Four `agentgw run` at once, tokens a second of all while all run; without and with a long prompt shared."""
    setting.stop()
    with setting.variant(slots=FOUR) as four:
        yield from _four(four, SYSTEM, "four streams", server_target=None)
        long = f"{SYSTEM} {prose(SHARED_WORDS, seed=1)}"
        yield from _four(four, long, "four streams, 1,000 tokens shared", server_target=1.15)


def prefill(setting: Setting) -> Iterator[Figure]:
    """A stream while a prompt of 4,000 tokens is read: its speed against the same tokens alone, its longest pause."""
    setting.stop()
    stream = Question(system=SYSTEM, message="Count from one to ten thousand, in words.", tokens=7_000, kept=True)
    with setting.variant(slots=FOUR) as four:
        four.run("models", "load", str(MODEL))
        measured = [_beside(four, stream, seed) for seed in range(setting.few(3))]
    during, alone, pauses = zip(*measured, strict=True)
    commands = (f"{stream.shown()} beside a prompt of {LONG_WORDS} words", "the same tokens of the same stream, alone")
    yield Figure.compared(
        "prefill", "a stream while a long prompt is read, against its same tokens alone", commands, (during, alone),
        unit="tok/s", target=0.5,
    )  # fmt: skip
    yield Figure(
        case="prefill", what="its longest pause", command=commands[0], unit="s",
        measured=statistics.median(pauses), at="most", target=1, samples=pauses,
    )  # fmt: skip


STREAMS: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {
    "decode": decode,
    "streams": streams,
    "prefill": prefill,
}


def bare_loop(setting: Setting, questions: Sequence[Question]) -> Baseline:
    """The bare batched loop, with a sequence a question and the worker's own sizes."""
    return _bare(_setup(setting, questions))


def bare_rate(bare: Baseline) -> float:
    """Tokens a second of all its sequences, of one round."""
    return _clock(bare)()


def _setup(setting: Setting, questions: Sequence[Question]) -> dict[str, Any]:
    """The input with which the baselines answer the same texts in the same way."""
    prompts = [setting.result(*question.words()[:-1], "--dry-run", question.message)["text"] for question in questions]
    return {
        "model": str(MODEL), "engine": dataclasses.asdict(engine(setting, str(MODEL))), "prompts": prompts,
        "chats": [question.chat() for question in questions], "tokens": questions[0].tokens,
    }  # fmt: skip


def _bare(setup: dict[str, Any]) -> Baseline:
    return Baseline("bare_decode", setup)


def _server(setup: dict[str, Any]) -> Baseline:
    return Baseline("server_core", setup, python=BENCH_PYTHON)


def _clock(baseline: Baseline) -> Callable[[], float]:
    return lambda: common_rate(baseline.ask("go"))


def _short(what: str) -> str:
    return what.partition(",")[0]


def _four(setting: Setting, system: str, what: str, *, server_target: float | None) -> Iterator[Figure]:
    questions = [Question(system=system, message=story, tokens=TOGETHER_TOKENS) for story in STORIES]
    commands = [[setting.agentgw, *question.words(), "--output-format", "stream-json"] for question in questions]
    setting.run(*questions[0].words())
    pool = ThreadPoolExecutor(FOUR)

    def ours() -> float:
        streamed = pool.map(lambda command: Streamed(command, setting.environment), commands)
        return common_rate([line_times(one.pieces, DELTA) for one in streamed])

    setup = _setup(setting, questions)
    with pool, _bare(setup) as bare, _server(setup) as server:
        clocks = (ours, _clock(bare), _clock(server))
        interleave(clocks, 1)
        samples = interleave(clocks, setting.few(5))
    against = (
        (f"the bare batched loop, {TOGETHER_TOKENS} tokens each, greedy", 0.95),
        (f"llama.cpp's server core, {FOUR} slots", server_target),
    )
    for theirs, (whose, target) in zip(samples[1:], against, strict=True):
        yield Figure.compared(
            "streams", f"{what}, together, against {_short(whose)}", (f"{FOUR} × {questions[0].shown()}", whose),
            (samples[0], theirs), unit="tok/s", target=target,
        )  # fmt: skip


def _beside(setting: Setting, stream: Question, seed: int) -> tuple[float, float, float]:
    """A stream's tokens a second while another's prompt is read, of the same tokens alone, and its longest pause then.

    The same tokens, because a stream that grows gets slower whoever is beside it.
    """
    long = Question(system=SYSTEM, message=prose(LONG_WORDS, seed=seed), tokens=1, kept=True)
    begun, read = threading.Event(), threading.Event()
    command = [setting.agentgw, *stream.words(), "--output-format", "stream-json"]

    def answered() -> bool:
        begun.set()
        return read.is_set()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(Streamed, command, setting.environment, until=answered)
        try:
            begun.wait(ALONE_S)
            # For some seconds alone, as a stream mostly is when somebody else begins.
            threading.Event().wait(ALONE_S)
            other = Streamed([setting.agentgw, *long.words()], setting.environment)
        finally:
            read.set()
        times = line_times(running.result().pieces, DELTA)
    # While both run: a stream whose guesses come true may have filled its context before the prompt is read.
    start, end = other.started, min(other.started + other.first_s, times[-1] if times else 0.0)
    if end - start < BESIDE_S:
        raise SystemExit("bench: the stream ran for too short a while beside the long prompt")
    first, last = (sum(at <= moment for at in times) for moment in (start, end))
    # As many tokens, and some more for those that are no text of their own.
    again = dataclasses.replace(stream, tokens=last + last // 20)
    alone = Streamed([setting.agentgw, *again.words(), "--output-format", "stream-json"], setting.environment)
    those = line_times(alone.pieces, DELTA)[first - 1 : last]
    if len(those) <= last - first:
        raise SystemExit("bench: the stream alone ended before it was as long as beside the prompt")
    return rate(times, start, end), (last - first) / (those[-1] - those[0]), longest_pause(times, start, end)
