"""Settings of the worker's context, so that a baseline can make its own alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentgw_daemon.workers.llama.llama import physical_cores, usable_cpus
from agentgw_daemon.workers.protocol.footprint import DEFAULT_BATCH_TOKENS, DEFAULT_CTX_TOKENS
from tests.bench.setting import Setting

# A file's metadata has names of its own, which mean other things.
_APART: Final = "metadata"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Settings of a context that are chosen, and not given by the model. `attention` is auto, flash or plain."""

    n_ctx_tokens: int
    batch_tokens: int
    threads: int
    threads_batch: int
    attention: str = "auto"


def engine(setting: Setting, model: str) -> Engine:
    """The worker's defaults, in place of them the configuration, in place of that what the daemon reports."""
    threads, n_ctx_tokens = setting.known.get("inference.threads"), setting.known.get("inference.n_ctx")
    defaults = Engine(
        n_ctx_tokens=n_ctx_tokens or DEFAULT_CTX_TOKENS,
        batch_tokens=DEFAULT_BATCH_TOKENS,
        threads=threads or physical_cores(),
        threads_batch=threads or len(usable_cpus()),
    )
    setting.run("models", "load", model)
    return reported(defaults, setting.result("models", "show", model).get("running") or {})


def reported(defaults: Engine, shown: Mapping[str, Any]) -> Engine:
    """The defaults with whatever is shown under the same names, at any depth but in the file's metadata."""
    kinds = {field.name: str if field.name == "attention" else int for field in dataclasses.fields(Engine)}
    found: dict[str, Any] = {
        name: value for name, value in _pairs(shown) if value and isinstance(value, kinds.get(name, ()))
    }
    return dataclasses.replace(defaults, **found)


def _pairs(shown: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in shown.items():
        if isinstance(value, Mapping):
            if name != _APART:
                yield from _pairs(value)
        else:
            yield name, value
