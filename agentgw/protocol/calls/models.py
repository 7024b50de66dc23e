"""Models, and which of them suit this machine: `model.*`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from agentgw.protocol import types as t
from agentgw.protocol.calls.shared import ModelRef
from agentgw.protocol.records.schema import record
from agentgw.protocol.tuning import Measurement, Tuning


@record
class ModelList:
    """Models that can be used or pulled."""

    models: tuple[t.Model, ...]


@record
class RecommendedModel:
    """A model as it would run on this machine."""

    name: str
    kind: Annotated[Literal["general", "code", "reasoning", "own"], "own: of the models folder, not of the catalogue"]
    state: Annotated[Literal["available", "loading", "loaded", "not_pulled"], "as in `model.list`"]
    size_bytes: int
    download_bytes: Annotated[int, "0: it is here"]
    need_bytes: Annotated[int, "of memory, with one context"]
    fits: Annotated[bool, "into the memory and the disk that are free"]
    reason: Annotated[str | None, "the limit it does not fit"] = None
    tokens_per_s: Annotated[float | None, "of one answer; absent where it could not be measured"] = None
    measured: Annotated[bool, "with this very model; otherwise it is the expected one"] = False
    expected_tokens_per_s: Annotated[float | None, "bandwidth over the bytes that a token reads"] = None
    licence: str | None = None
    n_ctx_train_tokens: int | None = None
    description: str | None = None


@record
class Recommendation:
    """Models ranked for this machine, best first."""

    models: tuple[RecommendedModel, ...]
    dated: Annotated[str, "the day on which the catalogue's facts were looked up"]
    best: Annotated[str | None, "the one to pull beside the starter"] = None
    memory_bytes: Annotated[int | None, "that programs can have"] = None
    disk_bytes: Annotated[int, "free where models are kept"]
    bandwidth_bytes_per_s: Annotated[int | None, "of the memory, as measured"] = None
    threads: Annotated[int | None, "it was measured with"] = None


@record
class ModelRefParams:
    """The reference of a model."""

    model: ModelRef


@record
class ModelDetail:
    """One model."""

    model: t.Model
    metadata: Annotated[dict[str, Any], "scalar metadata of the file"]
    running: Annotated[Tuning | None, "the settings that its worker runs with"] = None
    tuned: Annotated[Tuning | None, "the settings that measuring found best: hold from the next load"] = None
    measured: Annotated[tuple[Measurement, ...] | None, "the figures that follows from"] = None
