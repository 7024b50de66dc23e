"""The words between the daemon and a worker, and how they travel: one JSON object a line over a pipe.

Standalone on purpose: a worker imports the standard library, its engine, this module, the settings that it is told
(`agentgw.protocol.tuning`) and what all workers share, nothing else of ours. Both ends are our own, so a line that
does not parse is a bug or a dying process: WireError, and the supervisor ends the worker.
"""

from __future__ import annotations

import dataclasses
import json
from json.encoder import encode_basestring
from typing import Any, Final

from agentgw.protocol.records.schema import dump
from agentgw.protocol.tuning import UNDECIDED, Measurement, Tuning
from agentgw_daemon.workers.protocol.lines import WireError

# Texts that a request may send before its reader has taken any; with `Credit` it may send more. So a reader who
# pauses stops one stream and not the pipe, which is everybody's. It covers some seconds of a fast stream.
WINDOW_TEXTS: Final = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Load a model file; answered by Loaded or LoadFailed. Zero and "auto" mean: the worker chooses.

    With `calibrate_after_s` it measures what serves best where it chose, once it has answered something and is idle
    for so long; then TuningFound comes, and nothing changes before the next load. Negative: never.

    `kv_dir` is where keys and values are saved, empty: nowhere. Of `kv_cache_bytes` zero means that nothing is kept.
    `others` are the files of a split model behind its first, in their order.
    """

    path: str
    others: tuple[str, ...] = ()
    n_ctx_tokens: int = 0
    tuning: Tuning = UNDECIDED
    gpu_layers: int = -1
    slots: int = 1
    speculate: bool = True
    kv_dir: str = ""
    kv_cache_bytes: int = 0
    calibrate_after_s: float = -1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Answer these messages (each `{"role", "content"}`, with tools as `template.ChatTemplate.render` takes them);
    ended by GenerationDone or GenerationFailed.

    The defaults are llama.cpp's, but for a mild repeat penalty: without one, models this small end in loops.
    `recompute` computes the whole prompt anew, in batches of its own, so that the same seed gives the same text.
    Keys and values are saved in the name of the `cache_scope`, none without one; where the system text is a `skill`'s,
    what it takes is saved for everybody. A `background` request computes while no other wants to, and leaves a core to
    whoever comes next, unless it is a `draft`.
    A `grammar` (GBNF) is what the text must be; stop strings do not end such an answer, the grammar does.
    A `whole` answer is read when it has ended: its text comes in pieces of a second, its stream holds no prompt up, and
    it gets a slot after all that are read as they are written.
    Sends at most `WINDOW_TEXTS` texts, and then as many as `Credit` allows. `special`: control tokens that do not end
    the answer are text like any other, for those that mark a call or reasoning.
    """

    request_id: int
    messages: tuple[dict[str, Any], ...]
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.1
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    recompute: bool = False
    cache_scope: str = ""
    skill: bool = False
    background: bool = False
    draft: bool = False
    whole: bool = False
    grammar: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    special: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CountPrompt:
    """Render and count, run nothing; answered by Counted or GenerationFailed."""

    request_id: int
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CancelGeneration:
    """End a request now; it still answers with GenerationDone(finish_reason="cancelled")."""

    request_id: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """The reader of a request has taken this many texts; as many more may be sent. Too late is no error."""

    request_id: int
    texts: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Compute nothing from now on, whatever comes, until Resume; a piece of a prompt is stopped in the middle.

    Answered by Paused. Requests stay where they are, can be cancelled meanwhile, and lose nothing but time.
    """

    pause_id: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on; nothing where there was no Pause."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelWorkerReady:
    """The worker's first words: its engine is imported and it waits for Load."""

    version: str
    pid: int
    engine: str
    build: str = ""  # of the engine: what was measured with another one counts no more


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The model is in memory; then how it runs, and how it can be given tools (`template.ChatTemplate`)."""

    n_ctx_tokens: int
    n_ctx_train_tokens: int
    slots: int
    description: str
    template: str  # "model", or the name of the fallback and why
    load_ms: float
    tuning: Tuning = UNDECIDED
    gpu_layers: int = 0
    notice: str = ""  # what could not be done as it was asked for, for a person
    chat_template: str = ""  # its source, or nothing if that is too long
    takes_tools: bool = False
    prompt_end: str = ""
    n_params: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailed:
    """Answer that the model cannot be loaded; the worker may be asked to load another."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TuningFound:
    """The settings that served best, and the figures."""

    tuning: Tuning
    measured: tuple[Measurement, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The worker stands still, and has said all that it computed."""

    pause_id: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The rendered prompt and its length in tokens."""

    request_id: int
    tokens: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GenerationQueued:
    """The request waits for a slot or for memory; sent when its position changes, from 1."""

    request_id: int
    position: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """Prompt tokens computed so far."""

    request_id: int
    done: int
    total: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GenerationDelta:
    """New text, one string a token that completed any."""

    request_id: int
    texts: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GenerationDone:
    """The request ended: stop, length or cancelled."""

    request_id: int
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    queue_ms: float
    prefill_ms: float
    decode_ms: float
    prompt_sha256: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFailed:
    """The request cannot be done: `kind` is context_overflow, template, engine or invalid."""

    request_id: int
    kind: str
    message: str
    data: dict[str, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelWorkerHeartbeat:
    """Sent every few seconds while the worker computes, from a thread that computes nothing."""

    rss_bytes: int


ToWorker = Load | Generate | CountPrompt | CancelGeneration | Credit | Pause | Resume
FromWorker = (
    ModelWorkerReady
    | Loaded
    | LoadFailed
    | TuningFound
    | Paused
    | Counted
    | GenerationQueued
    | Prefilled
    | GenerationDelta
    | GenerationDone
    | GenerationFailed
    | ModelWorkerHeartbeat
)
ModelWireMessage = ToWorker | FromWorker

# By their names on the wire.
_KINDS: Final[dict[str, type[Any]]] = {
    "Load": Load,
    "Generate": Generate,
    "Count": CountPrompt,
    "Cancel": CancelGeneration,
    "Credit": Credit,
    "Pause": Pause,
    "Resume": Resume,
    "Ready": ModelWorkerReady,
    "Loaded": Loaded,
    "LoadFailed": LoadFailed,
    "Calibrated": TuningFound,
    "Paused": Paused,
    "Counted": Counted,
    "Queued": GenerationQueued,
    "Prefilled": Prefilled,
    "Delta": GenerationDelta,
    "Done": GenerationDone,
    "Failed": GenerationFailed,
    "Heartbeat": ModelWorkerHeartbeat,
}
_NAMES: Final = {cls: name for name, cls in _KINDS.items()}
_FIELDS: Final = {cls: tuple(field.name for field in dataclasses.fields(cls)) for cls in _KINDS.values()}


def encode(message: ModelWireMessage) -> bytes:
    """One line, newline included. Lone surrogates leave as `?`: tokens may hold anything."""
    if isinstance(message, GenerationDelta):
        # One a token, while the model's threads wait: 5 µs this way, 50 by the general one.
        texts = ",".join(map(encode_basestring, message.texts))
        return f'["Delta",{{"request_id":{message.request_id},"texts":[{texts}]}}]\n'.encode("utf-8", "replace")
    cls = type(message)
    body = {name: getattr(message, name) for name in _FIELDS[cls]}
    text = json.dumps([_NAMES[cls], body], ensure_ascii=False, separators=(",", ":"), default=dump)
    return text.encode("utf-8", "replace") + b"\n"


def decode(line: bytes) -> ModelWireMessage:
    """The message of one line. Raises WireError."""
    try:
        name, body = json.loads(line)
        cls = _KINDS[name]
        made: ModelWireMessage = cls(**{key: _read(key, value) for key, value in body.items()})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WireError(f"not a message: {line[:80]!r}") from error
    return made


def _read(field: str, value: Any) -> Any:
    """The value of a message's field. Whether it makes sense is asked where it is used."""
    if field == "tuning":
        return Tuning(**value)
    if field == "measured":
        return tuple(Measurement(**one) for one in value)
    return tuple(value) if isinstance(value, list) else value
