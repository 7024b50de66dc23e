"""Loading of a file to a decoder that answers. What can be done at the same time is.

Here it is decided how many slots there are and how many cells they share, and what happens when a GPU refuses.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Final

from agentgw.protocol.tuning import Tuning
from agentgw_daemon.system.memory import available_bytes
from agentgw_daemon.workers.llama import gguf, llama
from agentgw_daemon.workers.model.batching.scheduler import Scheduler
from agentgw_daemon.workers.model.calibration.interruption import Interruption
from agentgw_daemon.workers.model.calibration.measuring import Calibration
from agentgw_daemon.workers.model.calibration.search import Cores, with_defaults
from agentgw_daemon.workers.model.cancellation import Cancellations
from agentgw_daemon.workers.model.decoder import Decoder
from agentgw_daemon.workers.model.kv.disk_cache import DiskPrefixCache
from agentgw_daemon.workers.model.kv.memory import KvMemory
from agentgw_daemon.workers.model.sampling.context import Context
from agentgw_daemon.workers.model.stream import EmitMessage
from agentgw_daemon.workers.model.template import template
from agentgw_daemon.workers.protocol import footprint
from agentgw_daemon.workers.protocol import model as wire
from agentgw_daemon.workers.protocol.kv_files import state_folder

# The longest template known to us is 30 KB; the daemon looks for markers in it.
MAX_TEMPLATE_CHARACTERS: Final = 1 << 17

NO_TEXT: Final = "it makes no text: it is an embedding or translation model, or has no vocabulary"


class NoText(llama.EngineError):
    """The model loads, but it is none that answers: nothing else is worth trying."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Measures that a context is made for."""

    n_ctx_tokens: int  # the most that one request may have
    n_cells: int  # what all slots share
    at_once: int  # requests that decode together
    slots: int
    sequences: int
    tuning: Tuning


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModel:
    """Weights, and the first context on them."""

    model: llama.LlamaModel
    shape: Shape
    context: Context
    controls: frozenset[str]
    notice: str = ""


def load(
    request: wire.Load, *, emit: EmitMessage, cancellations: Cancellations, interruption: Interruption
) -> tuple[Decoder, wire.Loaded, Calibration | None]:
    """The model of a file, ready to answer, and what may be measured on it when it is idle.

    Raises UnusableModelFile or llama.EngineError.
    """
    started = time.perf_counter()
    size_bytes = gguf.inspect(request.path, *request.others).size_bytes
    opened = _open(request, size_bytes)
    model, shape, context = opened.model, opened.shape, opened.context
    chat, name = template.choose(
        model.chat_template, bos=model.special_text("bos"), eos=model.special_text("eos"), controls=opened.controls
    )
    isolated = dataclasses.replace(shape, sequences=1, n_cells=shape.n_ctx_tokens)
    batch_tokens = shape.tuning.batch_tokens
    kv_memory = KvMemory(
        context, lambda: _make(model, isolated), n_slots=shape.slots, batch_tokens=batch_tokens,
        disk_cache=_disk_cache(model, shape, request), token_bytes=max(model.kv_bytes_per_token, 1),
    )  # fmt: skip
    scheduler = Scheduler(
        kv_memory, at_once=shape.at_once, n_slots=shape.slots, n_cells=context.n_cells, batch_tokens=batch_tokens
    )  # fmt: skip
    n_ctx_tokens = min(shape.n_ctx_tokens, context.n_cells)
    decoder = Decoder(
        model, kv_memory, scheduler, chat, n_ctx_tokens=n_ctx_tokens, speculates=request.speculate and model.can_share,
        emit=emit, cancellations=cancellations,
    )  # fmt: skip
    loaded = wire.Loaded(
        n_ctx_tokens=n_ctx_tokens,
        n_ctx_train_tokens=model.n_ctx_train_tokens,
        slots=shape.at_once,
        description=model.description,
        template=name,
        load_ms=(time.perf_counter() - started) * 1000,
        tuning=shape.tuning,
        gpu_layers=model.gpu_layers,
        notice=opened.notice,
        chat_template=chat.source if len(chat.source) <= MAX_TEMPLATE_CHARACTERS else "",
        takes_tools=chat.takes_tools,
        prompt_end=chat.prompt_end,
        n_params=model.n_params,
    )
    return decoder, loaded, _calibration(request, model, shape.at_once, interruption)


def _open(request: wire.Load, size_bytes: int) -> OpenedModel:
    """Opens the model on the GPU where that is asked for and works, else on the processor."""
    if not llama.offloads():
        opened = _open_at(request, size_bytes, gpu_layers=0)
        # All that fit, the default, are none then.
        if request.gpu_layers > 0:
            return dataclasses.replace(opened, notice="this build of llama.cpp has no GPU support: no layer is on one")
        return opened
    try:
        return _open_at(request, size_bytes, gpu_layers=request.gpu_layers)
    except NoText:
        raise
    except llama.EngineError as error:
        if request.gpu_layers == 0:
            raise
        refusal = error
    opened = _open_at(request, size_bytes, gpu_layers=0)
    return dataclasses.replace(opened, notice=f"the GPU does not take it, so the processor does: {refusal}")


def _open_at(request: wire.Load, size_bytes: int, *, gpu_layers: int) -> OpenedModel:
    model = llama.LlamaModel(request.path, others=request.others, gpu_layers=gpu_layers)
    try:
        if not model.answers_text:
            raise NoText(NO_TEXT)
        shape = _shape(model, request, size_bytes)
        context, controls = _context(model, shape)
    except llama.EngineError:
        model.close()
        raise
    return OpenedModel(model=model, shape=shape, context=context, controls=controls)


def _shape(model: llama.LlamaModel, request: wire.Load, size_bytes: int) -> Shape:
    # Memory that cannot be cut and shared cannot be spread over slots either: such a model answers one at a time.
    at_once = min(max(request.slots, 1), llama.MAX_SEQUENCES // 2 - 1) if model.can_share else 1
    n_ctx_tokens = min(request.n_ctx_tokens or footprint.DEFAULT_CTX_TOKENS, model.n_ctx_train_tokens)
    available = available_bytes()
    n_cells = footprint.cells(
        n_ctx_tokens,
        at_once,
        bytes_per_token=model.kv_bytes_per_token,
        spare_bytes=None if available is None else available - size_bytes,
        n_ctx_original_tokens=model.n_ctx_original_tokens,
    )
    chosen = with_defaults(request.tuning, _cores())
    # Room for a piece of a prompt also when every other slot decodes.
    batch_tokens = max(chosen.batch_tokens, 2 * at_once if at_once > 1 else 1)
    return Shape(
        n_ctx_tokens=n_ctx_tokens,
        n_cells=n_cells,
        at_once=at_once,
        # As many again for those in the background, and one sequence to save from and load to.
        slots=2 * at_once if model.can_share else 1,
        sequences=2 * at_once + 1 if model.can_share else 1,
        tuning=dataclasses.replace(chosen, batch_tokens=batch_tokens),
    )


def _calibration(
    request: wire.Load, model: llama.LlamaModel, slots: int, interruption: Interruption
) -> Calibration | None:
    if request.calibrate_after_s < 0:
        return None
    return Calibration(
        model, interruption, asked=request.tuning, cores=_cores(), slots=slots, after_s=request.calibrate_after_s
    )  # fmt: skip


def _cores() -> Cores:
    """The cores and hyper-threads that this process may use."""
    return Cores(physical=llama.physical_cores(), logical=len(llama.usable_cpus()), offload=llama.offloads())


def _disk_cache(model: llama.LlamaModel, shape: Shape, request: wire.Load) -> DiskPrefixCache | None:
    """The cache of saved keys and values; None if they cannot be cut, or nobody wants it."""
    if not (model.can_share and request.kv_dir):
        return None
    try:
        identity = state_folder.identity(request.path, *request.others)
    except OSError:
        return None  # deleted since it was loaded: nothing that is saved now could be found again
    original = model.n_ctx_original_tokens
    # All that changes what llama.cpp computes, or how it writes it down.
    stretched = bool(original) and shape.n_cells > original
    key = f"{identity} {llama.version()} attention={shape.tuning.attention} stretched={stretched}"
    disk_cache = DiskPrefixCache.open(Path(request.kv_dir), model_key=key, limit_bytes=request.kv_cache_bytes)
    if request.kv_cache_bytes > 0:
        return disk_cache
    disk_cache.close(0)
    return None


def _context(model: llama.LlamaModel, shape: Shape) -> tuple[Context, frozenset[str]]:
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
        raise NoText(NO_TEXT)
    return context, controls


def _make(model: llama.LlamaModel, shape: Shape) -> Context:
    chosen = shape.tuning
    return Context(
        model,
        n_cells=shape.n_cells,
        n_batch_tokens=chosen.batch_tokens,
        threads=(chosen.threads, chosen.threads_batch),
        slots=shape.sequences,
        attention=chosen.attention,
    )
