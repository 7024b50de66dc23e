"""From a file to a decoder that answers. What can be done at the same time is.

Here it is decided how many slots there are and how many cells they share.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Final

from agentgw_daemon.inference import gguf, llama, state_folder, template, wire
from agentgw_daemon.inference.answer import Emit
from agentgw_daemon.inference.cancellation import Cancellations
from agentgw_daemon.inference.context import Context
from agentgw_daemon.inference.decoder import Decoder
from agentgw_daemon.inference.lanes import Lanes
from agentgw_daemon.inference.memory import available_bytes
from agentgw_daemon.inference.slots import Slots
from agentgw_daemon.inference.states import States

# As many tokens of a prompt as are computed between two looks at the world; larger pieces are not faster.
DEFAULT_BATCH_TOKENS: Final = 256
DEFAULT_CTX_TOKENS: Final = 8192
# What all slots together may take in the KV cache, unless one request alone needs more.
MAX_KV_BYTES: Final = 1 << 30
KV_SHARE: Final = 0.25  # of the memory that is available; the rest is for weights and for others

NO_TEXT: Final = "it makes no text: it is an embedding or translation model, or has no vocabulary"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a context is made for."""

    n_ctx_tokens: int  # the most that one request may have
    n_cells: int  # what all slots share
    at_once: int  # requests that decode together
    slots: int
    sequences: int
    batch_tokens: int
    threads: tuple[int, int]


def load(request: wire.Load, *, emit: Emit, cancellations: Cancellations) -> tuple[Decoder, wire.Loaded]:
    """The model of a file, ready to answer. Raises gguf.NotUsable or llama.EngineError."""
    started = time.perf_counter()
    gguf.inspect(request.path)
    model = llama.Model(request.path, gpu_layers=request.gpu_layers)
    try:
        if not model.answers_text:
            raise llama.EngineError(NO_TEXT)
        shape = _shape(model, request)
        context, controls = _context(model, shape)
    except llama.EngineError:
        model.close()
        raise
    chat, name = template.choose(
        model.chat_template, bos=model.special_text("bos"), eos=model.special_text("eos"), controls=controls
    )
    apart = dataclasses.replace(shape, sequences=1, n_cells=shape.n_ctx_tokens)
    lanes = Lanes(
        context, lambda: _make(model, apart), n_slots=shape.slots, batch_tokens=shape.batch_tokens,
        states=_states(model, shape, request), token_bytes=model.kv_bytes_per_token,
    )  # fmt: skip
    slots = Slots(
        lanes, at_once=shape.at_once, n_slots=shape.slots, n_cells=context.n_cells, batch_tokens=shape.batch_tokens
    )  # fmt: skip
    n_ctx_tokens = min(shape.n_ctx_tokens, context.n_cells)
    decoder = Decoder(
        model, lanes, slots, chat, n_ctx_tokens=n_ctx_tokens, speculates=request.speculate and model.can_share,
        emit=emit, cancellations=cancellations,
    )  # fmt: skip
    return decoder, wire.Loaded(
        n_ctx_tokens=n_ctx_tokens,
        n_ctx_train_tokens=model.n_ctx_train_tokens,
        slots=shape.at_once,
        description=model.description,
        template=name,
        load_ms=(time.perf_counter() - started) * 1000,
    )


def _shape(model: llama.Model, request: wire.Load) -> Shape:
    # What cannot be cut and shared cannot be spread over slots either: such a model answers one at a time.
    at_once = min(max(request.slots, 1), llama.MAX_SEQUENCES // 2 - 1) if model.can_share else 1
    n_ctx_tokens = min(request.n_ctx_tokens or DEFAULT_CTX_TOKENS, model.n_ctx_train_tokens)
    return Shape(
        n_ctx_tokens=n_ctx_tokens,
        n_cells=_cells(model, n_ctx_tokens, at_once),
        at_once=at_once,
        # As many again for those in the background, and one sequence to save from and load to.
        slots=2 * at_once if model.can_share else 1,
        sequences=2 * at_once + 1 if model.can_share else 1,
        # Room for a piece of a prompt also when every other slot decodes.
        batch_tokens=max(request.n_batch_tokens or DEFAULT_BATCH_TOKENS, 2 * at_once if at_once > 1 else 1),
        threads=(request.n_threads or llama.physical_cores(), request.n_threads_batch or len(llama.usable_cpus())),
    )


def _states(model: llama.Model, shape: Shape, request: wire.Load) -> States | None:
    """Where keys and values are saved; nowhere if they cannot be cut, or nobody wants it."""
    if not (model.can_share and request.kv_dir):
        return None
    try:
        identity = state_folder.identity(request.path)
    except OSError:
        return None  # deleted since it was loaded: nothing that is saved now could be found again
    original = model.n_ctx_original_tokens
    # All that changes what llama.cpp computes, or how it writes it down.
    stretched = bool(original) and shape.n_cells > original
    states = States.open(
        Path(request.kv_dir), model_key=f"{identity} {llama.version()} stretched={stretched}",
        limit_bytes=request.kv_cache_bytes,
    )  # fmt: skip
    if request.kv_cache_bytes > 0:
        return states
    states.close(0)
    return None


def _cells(model: llama.Model, n_ctx_tokens: int, slots: int) -> int:
    """A full context a slot if that fits the bound, else as much as does, but never less than one."""
    available = available_bytes()
    bound = MAX_KV_BYTES if available is None else min(MAX_KV_BYTES, int(available * KV_SHARE))
    cells = min(n_ctx_tokens * slots, bound // max(model.kv_bytes_per_token, 1))
    original = model.n_ctx_original_tokens
    if n_ctx_tokens <= original:
        # llama.cpp takes more cells for a longer context and would turn to the stretched positions.
        cells = min(cells, original)
    return max(cells, n_ctx_tokens)


def _context(model: llama.Model, shape: Shape) -> tuple[Context, frozenset[str]]:
    """The context, and meanwhile the vocabulary's control texts: each takes a tenth of a second or more."""
    made: list[Context | llama.EngineError] = []

    def make() -> None:
        try:
            made.append(_make(model, shape))
        except llama.EngineError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    controls = model.control_texts()
    thread.join()
    context = made[0]
    if isinstance(context, llama.EngineError):
        raise context
    if not context.has_memory:
        context.close()
        raise llama.EngineError(NO_TEXT)
    return context, controls


def _make(model: llama.Model, shape: Shape) -> Context:
    return Context(
        model, n_cells=shape.n_cells, n_batch_tokens=shape.batch_tokens, threads=shape.threads, slots=shape.sequences
    )
