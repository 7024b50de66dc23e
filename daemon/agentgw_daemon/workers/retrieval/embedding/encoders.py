"""Choice of the engine that turns texts into vectors, by role: the light one for queries, the fast one for many."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from agentgw_daemon.workers.protocol import retrieval as wire
from agentgw_daemon.workers.retrieval.handlers import Handlers, Refusal, RequestTask

if TYPE_CHECKING:
    from agentgw_daemon.workers.retrieval.embedding.llama_encoder import LlamaEncoder

# Torch takes half as long for a text, and ten seconds of a core to import: from some hundreds of texts on it pays. Who
# has no more than these is done by llama.cpp and never imports it.
TORCH_AFTER_TEXTS: Final = 240
# While torch is imported it is looked after so many texts whether it is there.
STEP_TEXTS: Final = 8


Rows = npt.NDArray[np.float32]


class Encoder(Protocol):
    """An embedder in memory."""

    @property
    def embedder(self) -> wire.Embedder:
        """The embedder in use."""

    @property
    def engine(self) -> str:
        """The engine that computes: llama.cpp or torch."""

    def embed(self, texts: Sequence[str], prompt: str = "") -> Rows:
        """A row of unit length a text, which is read behind the prompt. Raises Refusal."""

    def close(self) -> None:
        """Free it."""


class LightEncoders:
    """Encoders for queries: llama.cpp on one thread, and torch only where there is no GGUF. Keeps one embedder."""

    def __init__(self) -> None:
        self._encoder: Encoder | None = None

    def get(self, embedder: wire.Embedder) -> Encoder:
        """The embedder, loaded if it is not the one in memory. Raises Refusal."""
        embedder = wire.without_prompts(embedder)
        if self._encoder is None or self._encoder.embedder != embedder:
            if self._encoder is not None:
                self._encoder.close()
                self._encoder = None
            self._encoder = _llama(embedder, lean=True) if embedder.gguf else _torch(embedder)
        return self._encoder


class BulkEncoders:
    """Encoders for many texts: llama.cpp at once, torch from when it is loaded, if there are enough texts to
    load it for.
    """

    def __init__(self) -> None:
        self._light: LlamaEncoder | None = None
        self._loading: TorchLoading | None = None
        self._seen = 0

    def embed(self, embedder: wire.Embedder, texts: Sequence[str], more: int, prompt: str = "") -> tuple[Rows, str]:
        """A row a text, and which engine ended the work. Raises Refusal."""
        encoder = self.get(embedder, len(texts), more)
        parts = []
        while self._importing and len(texts) > STEP_TEXTS:
            parts.append(encoder.embed(texts[:STEP_TEXTS], prompt))
            texts = texts[STEP_TEXTS:]
            encoder = self.get(embedder, 0, more)
        parts.append(encoder.embed(texts, prompt))
        return join(parts), encoder.engine

    @property
    def _importing(self) -> bool:
        return self._loading is not None and not self._loading.done

    def get(self, embedder: wire.Embedder, count: int, more: int) -> Encoder:
        """The best encoder for so many texts, when at least so many more are coming. Raises Refusal."""
        embedder = wire.without_prompts(embedder)
        self._prepare(embedder, count, more)
        loading = self._loading
        if loading is not None and (loading.done or not embedder.gguf):
            encoder = loading.wait()
            if encoder is not None:
                self._drop_light()
                return encoder
            if not embedder.gguf:
                raise Refusal("model", loading.reason)
        if self._light is None:
            self._light = _llama(embedder, lean=False)
        # One at a time while torch is imported: the sooner it is there, the better.
        self._light.sparing = self._importing
        return self._light

    def _prepare(self, embedder: wire.Embedder, count: int, more: int) -> None:
        known = self._loading.embedder if self._loading else self._light.embedder if self._light else embedder
        if known != embedder:
            self._drop_light()
            self._loading, self._seen = None, 0
        self._seen += count
        pays = not embedder.gguf or self._seen + more > TORCH_AFTER_TEXTS
        if self._loading is None and embedder.folder and pays:
            self._loading = TorchLoading(embedder)
            self._loading.start()

    def _drop_light(self) -> None:
        if self._light is not None:
            self._light.close()
            self._light = None


class TorchLoading(threading.Thread):
    """Imports torch and loads a model with it, beside what the main thread computes."""

    def __init__(self, embedder: wire.Embedder) -> None:
        super().__init__(name="torch", daemon=True)
        self.embedder: Final = embedder
        self.reason = ""
        self._encoder: Encoder | None = None

    def run(self) -> None:
        """Load, or find out why not."""
        try:
            self._encoder = _torch(self.embedder)
        except Refusal as refusal:
            self.reason = refusal.text
            print(f"torch is not used: {self.reason}", file=sys.stderr, flush=True)

    @property
    def done(self) -> bool:
        """Tells whether it is decided."""
        return not self.is_alive()

    def wait(self) -> Encoder | None:
        """The encoder, when it is loaded; None if it cannot be, for `reason`."""
        self.join()
        return self._encoder


def join(parts: Sequence[Rows]) -> Rows:
    """One after another."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _llama(embedder: wire.Embedder, *, lean: bool) -> LlamaEncoder:
    from agentgw_daemon.workers.llama.llama import physical_cores
    from agentgw_daemon.workers.retrieval.embedding.llama_encoder import LlamaEncoder

    return LlamaEncoder(embedder, at_once=1 if lean else physical_cores(), lean=lean)


def _torch(embedder: wire.Embedder) -> Encoder:
    try:
        from agentgw_daemon.workers.retrieval.embedding.torch_encoder import TorchEncoder
    except (ImportError, OSError) as error:
        raise Refusal("model", f"torch cannot be imported: {error}") from error
    return TorchEncoder(embedder)


def answer_queries(handlers: Handlers, encoders: LightEncoders) -> None:
    """Embed and Warm, for the role that answers queries."""

    def embed(request: wire.Embed, _task: RequestTask) -> wire.Embedded:
        encoder = encoders.get(request.embedder)
        return _embedded(request.embedder, encoder.embed(request.texts, request.prompt), encoder.engine)

    def warm(request: wire.Warm, _task: RequestTask) -> wire.Warmed:
        encoders.get(request.embedder)
        return wire.Warmed()

    handlers.add(wire.Embed, embed)
    handlers.add(wire.Warm, warm)


def answer_bulk(handlers: Handlers, encoders: BulkEncoders) -> None:
    """Embed, for the role that embeds many texts."""

    def embed(request: wire.Embed, _task: RequestTask) -> wire.Embedded:
        rows, engine = encoders.embed(request.embedder, request.texts, request.more, request.prompt)
        return _embedded(request.embedder, rows, engine)

    handlers.add(wire.Embed, embed)


def _embedded(embedder: wire.Embedder, rows: Rows, engine: str) -> wire.Embedded:
    return wire.Embedded(dim=embedder.dim, vectors=rows.astype("<f4").tobytes(), engine=engine)
