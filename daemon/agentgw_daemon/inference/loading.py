"""From a file to a decoder that answers. What can be done at the same time is."""

from __future__ import annotations

import threading
import time
from typing import Final

from agentgw_daemon.inference import gguf, llama, template, wire
from agentgw_daemon.inference.cancellation import Cancellations
from agentgw_daemon.inference.context import Context
from agentgw_daemon.inference.decoder import DEFAULT_BATCH_TOKENS, DEFAULT_CTX_TOKENS, Decoder, Emit

NO_TEXT: Final = "it makes no text: it is an embedding or translation model, or has no vocabulary"


def load(request: wire.Load, *, emit: Emit, cancellations: Cancellations) -> tuple[Decoder, wire.Loaded]:
    """The model of a file, ready to answer. Raises gguf.NotUsable or llama.EngineError."""
    started = time.perf_counter()
    gguf.inspect(request.path)
    model = llama.Model(request.path, gpu_layers=request.gpu_layers)
    try:
        if not model.answers_text:
            raise llama.EngineError(NO_TEXT)
        context, controls = _context(model, request)
    except llama.EngineError:
        model.close()
        raise
    chat, name = template.choose(
        model.chat_template, bos=model.special_text("bos"), eos=model.special_text("eos"), controls=controls
    )
    decoder = Decoder(model, context, chat, batch_tokens=_batch_tokens(request), emit=emit, cancellations=cancellations)
    return decoder, wire.Loaded(
        n_ctx_tokens=context.n_ctx_tokens,
        n_ctx_train_tokens=model.n_ctx_train_tokens,
        slots=1,
        description=model.description,
        template=name,
        load_ms=(time.perf_counter() - started) * 1000,
    )


def _batch_tokens(request: wire.Load) -> int:
    return request.n_batch_tokens or DEFAULT_BATCH_TOKENS


def _context(model: llama.Model, request: wire.Load) -> tuple[Context, frozenset[str]]:
    """The context, and meanwhile the vocabulary's control texts: each takes a tenth of a second or more."""
    made: list[Context | llama.EngineError] = []

    def make() -> None:
        try:
            made.append(
                Context(
                    model,
                    n_ctx_tokens=min(request.n_ctx_tokens or DEFAULT_CTX_TOKENS, model.n_ctx_train_tokens),
                    n_batch_tokens=_batch_tokens(request),
                    threads=(
                        request.n_threads or llama.physical_cores(),
                        request.n_threads_batch or len(llama.usable_cpus()),
                    ),
                )
            )
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
