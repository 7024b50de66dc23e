"""From a file to a decoder that answers. What can be done at the same time is.

Here it is decided how many slots there are and how many cells they share.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Final

from agentgw_daemon.inference import gguf, llama, template, wire
from agentgw_daemon.inference.answer import Emit
from agentgw_daemon.inference.cancellation import Cancellations
from agentgw_daemon.inference.context import Context
from agentgw_daemon.inference.decoder import Decoder
from agentgw_daemon.inference.lanes import Lanes
from agentgw_daemon.inference.memory import available_bytes
from agentgw_daemon.inference.slots import Slots

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
    slots: int
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
    apart = dataclasses.replace(shape, slots=1, n_cells=shape.n_ctx_tokens)
    lanes = Lanes(context, lambda: _make(model, apart), batch_tokens=shape.batch_tokens)
    slots = Slots(lanes, n_slots=shape.slots, n_cells=context.n_cells, batch_tokens=shape.batch_tokens)
    n_ctx_tokens = min(shape.n_ctx_tokens, context.n_cells)
    decoder = Decoder(
        model, lanes, slots, chat, n_ctx_tokens=n_ctx_tokens, emit=emit, cancellations=cancellations
    )  # fmt: skip
    return decoder, wire.Loaded(
        n_ctx_tokens=n_ctx_tokens,
        n_ctx_train_tokens=model.n_ctx_train_tokens,
        slots=shape.slots,
        description=model.description,
        template=name,
        load_ms=(time.perf_counter() - started) * 1000,
    )


def _shape(model: llama.Model, request: wire.Load) -> Shape:
    # What cannot be cut and shared cannot be spread over slots either: such a model answers one at a time.
    slots = max(request.slots, 1) if model.can_share else 1
    n_ctx_tokens = min(request.n_ctx_tokens or DEFAULT_CTX_TOKENS, model.n_ctx_train_tokens)
    return Shape(
        n_ctx_tokens=n_ctx_tokens,
        n_cells=_cells(model, n_ctx_tokens, slots),
        slots=slots,
        # Room for a piece of a prompt also when every other slot decodes.
        batch_tokens=max(request.n_batch_tokens or DEFAULT_BATCH_TOKENS, 2 * slots if slots > 1 else 1),
        threads=(request.n_threads or llama.physical_cores(), request.n_threads_batch or len(llama.usable_cpus())),
    )


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
        model, n_cells=shape.n_cells, n_batch_tokens=shape.batch_tokens, threads=shape.threads, slots=shape.slots
    )
