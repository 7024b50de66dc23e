"""Models and endpoints to run, and their settings: values that configuration and the registry hand to the pool."""

from __future__ import annotations

import sys
from typing import Final, Literal

from agentgw.protocol.records.schema import record
from agentgw.protocol.tuning import Tuning
from agentgw_daemon.config.settings import InferenceSection
from agentgw_daemon.workers.protocol.footprint import ModelShape

# -P: the directory the daemon happens to stand in must not lend modules to its children.
WORKER_COMMAND: Final = (sys.executable, "-P", "-m", "agentgw_daemon.workers.model.worker")


@record
class ProviderSpec:
    """An OpenAI-compatible endpoint and the model to ask it for."""

    name: str
    base_url: str
    api_key_env: str | None = None
    model: str


@record
class ModelSpec:
    """One model that can answer.

    `builtin` needs only its name, `file` a path to a GGUF, `provider` its endpoint. `n_ctx_tokens` 0 leaves
    the choice to the settings, then to the worker.
    """

    name: str
    kind: Literal["builtin", "file", "provider"]
    path: str | None = None
    # The files of a split model behind its first, which is `path`.
    others: tuple[str, ...] = ()
    sha256: str | None = None
    n_ctx_tokens: int = 0
    # Its size in memory by its header; None: unknown, and only the file's own size counts.
    shape: ModelShape | None = None
    provider: ProviderSpec | None = None


@record
class InferenceSettings(InferenceSection):
    """Section `inference` of the configuration, and the limits of supervision."""

    # Idle seconds after an answer before a worker measures: somebody who reads it may ask again.
    calibrate_after_s: float = 5.0
    # Where workers save keys and values, and how much of the disk all of them may take. Empty: nowhere; 0: nothing.
    kv_dir: str = ""
    kv_cache_bytes: int = 0
    max_queue: int = 64
    # A busy worker speaks every 5 s (Heartbeat); this is six of them missed.
    heartbeat_timeout_s: float = 30.0
    # A busy worker that beats but computes nothing. The slowest honest step is one prefill batch of a big
    # model on few cores: 512 tokens at 5 tokens a second.
    progress_timeout_s: float = 300.0
    cancel_timeout_s: float = 5.0
    stop_timeout_s: float = 2.0
    restart_backoff_s: float = 0.5
    # Resident bytes at which a worker is killed; 0: no cap.
    memory_cap_bytes: int = 0
    command: tuple[str, ...] = WORKER_COMMAND
    # Of endpoints: one answer with its reasoning and calls, and how long they may say nothing.
    max_answer_bytes: int = 1 << 20
    endpoint_silence_s: float = 300.0

    @property
    def tuning(self) -> Tuning:
        """Settings of a model that are decided here; one number of threads is meant for both kinds."""
        return Tuning(
            attention=self.attention, threads=self.threads, threads_batch=self.threads, batch_tokens=self.batch_tokens
        )
