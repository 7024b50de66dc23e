"""Rate of `agentgw map`: against a command a record, against the engine's own four streams, and its own cost."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tests.bench.baseline import Baseline
from tests.bench.figure import Figure
from tests.bench.in_force import engine
from tests.bench.measure import interleave, resident_bytes
from tests.bench.setting import FOUR, GREEDY, LLM, MODEL, Setting, shown
from tests.bench.stream_cases import SYSTEM, Question, bare_loop, bare_rate

_ASKED: Final = "Is this a fruit or a vegetable? Answer with one word: {}"
_CLASSES: Final = "You sort words into classes."
_SHORT: Final = "max_tokens=4"
_NAMES: Final = ("apple", "carrot", "plum", "leek", "pear", "cabbage", "fig", "turnip") * 4
# A command for each record takes too long for all of them.
_LOOPED: Final = 8
_LOOPED_LLM: Final = 2
_SUBJECTS: Final = (
    "a lighthouse keeper and the sea", "a village and its clock", "a map in a library", "a doctor in the north",
) * 5  # fmt: skip
_STORY: Final = "Write a long story about {}."
_STORY_TOKENS: Final = 64
_ECHOED: Final = 100_000
_LOOKED_AT: Final = 10_000


def commands(setting: Setting) -> Iterator[Figure]:
    """Records a second, against a command for each of them."""
    run = [setting.agentgw, "run", "--no-session", "--no-tools", *_options(_CLASSES, _SHORT)]
    llm = [os.fspath(LLM), "-m", "SmolLM2", "-s", _CLASSES, "-n"]

    def ours() -> float:
        return _records_a_second(setting, [*_options(_CLASSES, _SHORT), _ASKED], _NAMES)

    def loop(command: Sequence[str], names: Sequence[str]) -> float:
        started = time.perf_counter()
        for name in names:
            done = subprocess.run(
                [*command, _ASKED.format(name)], env=setting.environment, capture_output=True, stdin=subprocess.DEVNULL
            )
            if done.returncode:
                raise SystemExit(f"bench: {shown(command)}: {done.stderr.decode()}")
        return len(names) / (time.perf_counter() - started)

    # A model in memory, for both that keep it.
    ours()
    clocks = (ours, lambda: loop(run, _NAMES[:_LOOPED]), lambda: loop(llm, _NAMES[:_LOOPED_LLM]))
    samples = interleave(clocks, setting.few(3))
    for theirs, command in zip(samples[1:], (run, llm), strict=True):
        yield Figure.compared(
            "map", f"records a second, four at once, against a loop over `{os.path.basename(command[0])}`",
            (f"agentgw map -j {FOUR} -o {_SHORT} …", f"for each: {shown(command[:3])} …"), (samples[0], theirs),
            unit="/s", target=3,
        )  # fmt: skip


def streams(setting: Setting) -> Iterator[Figure]:
    """Tokens a second of all, start and prompts included, against the bare batched loop's while it decodes."""
    options = _options(SYSTEM, f"max_tokens={_STORY_TOKENS}")
    questions = [
        Question(system=SYSTEM, message=_STORY.format(subject), tokens=_STORY_TOKENS) for subject in _SUBJECTS[:FOUR]
    ]

    def ours() -> float:
        return _STORY_TOKENS * _records_a_second(setting, [*options, _STORY], _SUBJECTS)

    with bare_loop(setting, questions) as bare:
        clocks = (ours, lambda: bare_rate(bare))
        interleave(clocks, 1)
        samples = interleave(clocks, setting.few(3))
    yield Figure.compared(
        "map", "tokens a second of four at once, whole process, against the bare batched loop while it decodes",
        (f"agentgw map -j {FOUR} …", f"the bare batched loop, {_STORY_TOKENS} tokens each"), samples,
        unit="tok/s", target=0.9,
    )  # fmt: skip


def engine_rate(setting: Setting) -> Iterator[Figure]:
    """Records a second of all, start and prompts included, against the engine's own on the same records."""
    for what, system, asked, records, tokens in (
        ("four tokens each", _CLASSES, _ASKED, _NAMES, 4),
        (f"{_STORY_TOKENS} tokens each", SYSTEM, _STORY, _SUBJECTS, _STORY_TOKENS),
    ):
        options = _options(system, f"max_tokens={tokens}")
        prompts = {
            record: setting.result("run", "--no-session", *options, "--dry-run", asked.format(record))["text"]
            for record in set(records)
        }
        setup = {
            "model": str(MODEL), "engine": dataclasses.asdict(engine(setting, str(MODEL))), "slots": FOUR,
            "prompts": [prompts[record] for record in records], "tokens": tokens,
        }  # fmt: skip

        def ours(words: Sequence[str] = (*options, asked), records: Sequence[str] = records) -> float:
            return _records_a_second(setting, words, records)

        with Baseline("bare_records", setup) as bare:

            def theirs(bare: Baseline = bare) -> float:
                return float(bare.ask("go"))

            interleave((ours, theirs), 1)
            samples = interleave((ours, theirs), setting.few(5))
        yield Figure.compared(
            "map", f"records a second, {what}, whole process, against the engine's own with the same prompts",
            (f"agentgw map -j {FOUR} -o max_tokens={tokens} …", f"the bare batched loop, {FOUR} slots filled again"),
            samples, unit="/s", target=0.9,
        )  # fmt: skip


def echo(setting: Setting) -> Iterator[Figure]:
    """A hundred thousand records that the daemon answers at once, checked to the last byte; memory of the client."""
    setting.run("start")
    records = setting.directory / "records"
    records.write_text("".join(f"record {number}\n" for number in range(_ECHOED)))
    command = [setting.agentgw, "map", "-m", "echo", "-j", "16", "Q {}"]
    expected, found = hashlib.sha256(), hashlib.sha256()
    started = time.perf_counter()
    with (
        open(records, "rb") as lines,
        subprocess.Popen(command, env=setting.environment, stdin=lines, stdout=subprocess.PIPE) as child,
    ):
        assert child.stdout is not None
        most_bytes = 0
        for number, line in enumerate(child.stdout):
            found.update(line)
            # Never at the end: the client may be gone when its last lines are read.
            if number % _LOOKED_AT == _LOOKED_AT // 2:
                most_bytes = max(most_bytes, resident_bytes(child.pid))
        taken = time.perf_counter() - started
        status = child.wait()
    for number in range(_ECHOED):
        expected.update(f"Q record {number}\n".encode())
    if status or found.digest() != expected.digest():
        raise SystemExit("bench: the answers are not those of the records, in their order")
    yield Figure(
        case="map", what=f"records a second, {_ECHOED:,} of the echo model", command=shown(command), unit="/s",
        measured=_ECHOED / taken,
    )  # fmt: skip
    yield Figure(
        case="map", what="the most memory that the client had", command="VmRSS", unit="MB",
        measured=most_bytes / 1e6, at="most", target=20,
    )  # fmt: skip


MAP: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {
    "map": commands,
    "map-streams": streams,
    "map-engine": engine_rate,
    "map-echo": echo,
}


def _options(system: str, tokens: str) -> list[str]:
    return ["-m", str(MODEL), "--system", system, *GREEDY, "-o", tokens]


def _records_a_second(setting: Setting, words: Sequence[str], records: Sequence[str]) -> float:
    """The rate of one map over the records, start and end of the process included."""
    started = time.perf_counter()
    done = subprocess.run(
        [setting.agentgw, "map", "-j", str(FOUR), *words], env=setting.environment, capture_output=True, text=True,
        input="".join(f"{record}\n" for record in records), timeout=900,
    )  # fmt: skip
    taken = time.perf_counter() - started
    if done.returncode or done.stdout.count("\n") != len(records):
        raise SystemExit(f"bench: agentgw map: {done.stderr}")
    return len(records) / taken
