"""Cost of a token inside the worker, and what changes it: drafting from the prompt, constrained output."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.bench.baseline import Baseline
from tests.bench.figure import Figure, Skipped
from tests.bench.measure import Streamed, interleave
from tests.bench.setting import MODEL, Setting, shown
from tests.bench.texts import prose

TOKENS: Final = 200
GREEDY: Final = ("-o", "temperature=0", "-o", "repeat_penalty=1", "-o", f"max_tokens={TOKENS}")
REPEATED_WORDS: Final = 160
SPECULATE: Final = "inference.speculate"
SCHEMA: Final = json.dumps(
    {
        "type": "object",
        "properties": {"title": {"type": "string"}, "story": {"type": "string"}},
        "required": ["title", "story"],
        "additionalProperties": False,
    }
)
JSON_STORY: Final = 'Answer with a JSON object of "title" and "story": a long story about the sea.'


def token(setting: Setting) -> Iterator[Figure]:
    """Time a token outside of llama_decode, in the worker's decoder with its default sampling."""
    setting.stop()
    threads = setting.known.get("inference.threads", 0)
    tuning = {"attention": "auto", "threads": threads, "threads_batch": threads, "batch_tokens": 0}
    with Baseline("own_decoder", {"model": os.fspath(MODEL), "tuning": tuning, "tokens": TOKENS}) as own:
        own.ask("go")
        samples = [own.ask("go") for _ in range(setting.rounds)]
    yield Figure(
        case="token", what="a token's time outside of llama_decode, sampling included", unit="ms",
        command=f"the worker's decoder in one process, {TOKENS} tokens, default sampling",
        measured=statistics.median(samples), at="most", target=0.3, samples=samples,
    )  # fmt: skip


def lookup(setting: Setting) -> Iterator[Figure]:
    """Rewriting a text, where the answer is mostly in the prompt: drafted from it against token by token."""
    if SPECULATE not in setting.known:
        raise Skipped(f"this agentgw has no setting {SPECULATE}")
    setting.stop()
    message = f"Repeat this text word for word.\n\n{prose(REPEATED_WORDS, seed=3)}"
    words = ["run", "--no-session", "-m", os.fspath(MODEL), *GREEDY, message]
    with setting.variant(speculate=True) as drafting, setting.variant(speculate=False) as plain:
        samples = interleave([_stream_clock(one, words) for one in (drafting, plain)], setting.rounds)
    command = shown(["agentgw", *words[:-1], "…"])
    yield Figure.compared(
        "lookup", "a text repeated, drafted from the prompt, against without", (command, f"{SPECULATE} = false"),
        samples, unit="tok/s", target=1,
    )  # fmt: skip


def schema(setting: Setting) -> Iterator[Figure]:
    """The cost a token of holding the answer to a schema."""
    if "--schema" not in setting.run("run", "--help"):
        raise Skipped("this agentgw has no run --schema")
    words = ["run", "--no-session", "-m", os.fspath(MODEL), *GREEDY, JSON_STORY]
    held = [*words, "--schema", SCHEMA]

    def speed(words: list[str]) -> float:
        found: dict[str, Any] = setting.result(*words)
        return float(found["timings"]["decode_tokens_per_s"])

    samples = interleave((lambda: speed(held), lambda: speed(words)), setting.few(5))
    command = shown(["agentgw", *words[:-1], "…"])
    yield Figure.compared(
        "schema", "decode under a schema, against free", (f"{command} --schema …", command), samples, unit="tok/s"
    )


WORKER: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {"token": token, "lookup": lookup, "schema": schema}


def _stream_clock(setting: Setting, words: list[str]) -> Callable[[], float]:
    """Tokens a second of one stream at the client's standard output; its answer is the same every time."""
    tokens: int = setting.result(*words)["usage"]["completion_tokens"]

    def clock() -> float:
        streamed = Streamed([setting.agentgw, *words], setting.environment)
        return (tokens - 1) / (streamed.last_s - streamed.first_s)

    return clock
