"""Ranking of models by what this machine can do with them. Pure.

A token is computed by reading all weights once, so its rate is the memory's over the file's bytes. That holds for
dense models, which is what the catalogue has. A model fits when its weights, one context and the buffers go into the
memory that is free, and its file on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from agentgw.protocol.calls.models import RecommendedModel
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Model
from agentgw_daemon.inference.hosting.memory_budget import RESERVE_BYTES, shown
from agentgw_daemon.models.files.store import SPARE_BYTES
from agentgw_daemon.models.offer.catalogue import EMBEDDER, EMBEDDER_ARCHITECTURES, HUB_CATALOGUE, STARTER
from agentgw_daemon.workers.protocol.footprint import DEFAULT_CTX_TOKENS

# As fast as people read: 240 words a minute are five tokens a second. Below it an answer is waited for.
READING_TOKENS_PER_S: Final = 5.0
# Keys and values of a token in the widest model of the catalogue, Qwen3 14B: 40 layers of 8 heads with 128 numbers
# each, twice, of two bytes. A file says its own once it is there.
KV_BYTES_PER_TOKEN: Final = 40 * 8 * 128 * 2 * 2
# Buffers of llama.cpp, against the weights.
BUFFERS_SHARE: Final = 0.05


@record
class Machine:
    """The limits that models have to fit into; None: unknown."""

    memory_bytes: int | None
    disk_bytes: int
    bandwidth_bytes_per_s: int | None
    n_ctx_tokens: int = DEFAULT_CTX_TOKENS


def answering(rows: Iterable[Model]) -> list[Model]:
    """The rows of model files that answer: neither endpoints nor embedders, and of a size that is known."""
    return [
        row for row in rows
        if row.source in ("file", "hub", "index") and row.size_bytes and row.name != EMBEDDER.name
        and row.architecture not in EMBEDDER_ARCHITECTURES
        and ((known := HUB_CATALOGUE.get(row.name)) is None or known.kind != "embedder")
    ]  # fmt: skip


def rank(rows: Iterable[Model], machine: Machine, measured: Mapping[str, float]) -> tuple[RecommendedModel, ...]:
    """The models with what they need here, best first: those that fit and answer as fast as people read, the
    largest first; then those that fit, the fastest first; then the others, the smallest first.

    `rows` have a size. `measured` is the rate of models that were measured here, by name.
    """
    judged = [_judge(row, row.size_bytes, machine, measured.get(row.name)) for row in rows if row.size_bytes]
    return tuple(sorted(judged, key=_place))


def best(ranked: Iterable[RecommendedModel]) -> RecommendedModel | None:
    """The one to offer beside the starter: the first for everything that is not here and fits."""
    return next((one for one in ranked if one.kind == "general" and one.fits and one.state == "not_pulled"
                 and one.name != STARTER.name), None)  # fmt: skip


def _judge(row: Model, size_bytes: int, machine: Machine, measured: float | None) -> RecommendedModel:
    download = size_bytes if row.state == "not_pulled" else 0
    need = round(size_bytes * (1 + BUFFERS_SHARE)) + min(
        machine.n_ctx_tokens * KV_BYTES_PER_TOKEN,
        size_bytes,  # a small model is narrow: its context stays below its weights
    )
    expected = machine.bandwidth_bytes_per_s / size_bytes if machine.bandwidth_bytes_per_s else None
    rate = measured if measured is not None else expected
    return RecommendedModel(
        name=row.name, kind=_kind(row),
        state=row.state, size_bytes=size_bytes, download_bytes=download, need_bytes=need,
        fits=(reason := _obstacle(row, need, download, machine)) is None, reason=reason,
        tokens_per_s=round(rate, 1) if rate is not None else None, measured=measured is not None,
        expected_tokens_per_s=round(expected, 1) if expected is not None else None,
        licence=row.licence, n_ctx_train_tokens=row.n_ctx_train_tokens, description=row.description,
    )  # fmt: skip


def _kind(row: Model) -> Literal["general", "code", "reasoning", "own"]:
    known = HUB_CATALOGUE.get(row.name)
    if known is None or known.kind == "embedder":
        return "general" if row.name == STARTER.name else "own"
    return known.kind


def _obstacle(row: Model, need: int, download: int, machine: Machine) -> str | None:
    if row.state == "loaded":
        return None
    if machine.memory_bytes is not None and need > (free := max(machine.memory_bytes - RESERVE_BYTES, 0)):
        return f"needs {shown(need)} of memory, {shown(free)} are free"
    if download and download + SPARE_BYTES > machine.disk_bytes:
        return f"needs {shown(download + SPARE_BYTES)} of disk space, {shown(machine.disk_bytes)} are free"
    return None


def _place(one: RecommendedModel) -> tuple[int, float, str]:
    if not one.fits:
        return 2, one.size_bytes, one.name
    # Where the rate is unknown, size alone decides.
    if one.tokens_per_s is None or one.tokens_per_s >= READING_TOKENS_PER_S:
        return 0, -one.size_bytes, one.name
    return 1, one.size_bytes, one.name
