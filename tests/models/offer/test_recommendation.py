"""Ranking of models for a machine: what fits, how fast, in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentgw.protocol.types import Model
from agentgw_daemon.inference.hosting.memory_budget import RESERVE_BYTES
from agentgw_daemon.models import rows
from agentgw_daemon.models.offer.catalogue import HUB_MODELS
from agentgw_daemon.models.offer.recommendation import KV_BYTES_PER_TOKEN, Machine, answering, best, rank

GB = 1_000_000_000
LAPTOP = Machine(memory_bytes=16 * GB, disk_bytes=100 * GB, bandwidth_bytes_per_s=40 * GB)
QWEN_4B = "hf:unsloth/Qwen3.5-4B-GGUF:Q4_K_M"
QWEN_9B = "hf:unsloth/Qwen3.5-9B-GGUF:Q4_K_M"


def catalogue() -> list[Model]:
    return answering(rows.catalogue())


def own(size_bytes: int, name: str = "mine", state: str = "available", architecture: str = "llama") -> Model:
    made = Model(name=name, state="available", source="file", size_bytes=size_bytes, architecture=architecture)
    return replace(made, state=state)  # type: ignore[arg-type]  # one of the four


def test_endpoints_echo_and_embedders_answer_nothing_here() -> None:
    listed = [
        *rows.catalogue(), rows.ECHO, rows.endpoint("work", "http://x", "llama"), own(GB),
        own(GB, "bge", "loaded", "bert"), Model(name="unknown", state="available", source="file"),
    ]  # fmt: skip
    names = [row.name for row in answering(listed)]
    assert "mine" in names
    assert "smollm2:135m" in names
    assert not {"all-minilm-l6-v2", "hf:ggml-org/bge-m3-Q8_0-GGUF:Q8_0", "echo", "work/llama", "bge", "unknown"} & {
        *names
    }
    assert len(names) == 2 + len([model for model in HUB_MODELS if model.kind != "embedder"])


def test_the_rate_is_the_bandwidth_over_the_file() -> None:
    (one,) = rank([own(2 * GB)], LAPTOP, {})
    assert (one.tokens_per_s, one.expected_tokens_per_s, one.measured) == (20.0, 20.0, False)


def test_a_measured_rate_counts_and_stands_beside_the_expected_one() -> None:
    (one,) = rank([own(2 * GB)], LAPTOP, {"mine": 17.26})
    assert (one.tokens_per_s, one.expected_tokens_per_s, one.measured) == (17.3, 20.0, True)


def test_a_model_needs_its_weights_buffers_and_a_context() -> None:
    (one,) = rank([own(4 * GB)], LAPTOP, {})
    assert one.need_bytes == 4_200_000_000 + 8192 * KV_BYTES_PER_TOKEN
    (longer,) = rank([own(4 * GB)], replace(LAPTOP, n_ctx_tokens=16384), {})
    assert longer.need_bytes == 4_200_000_000 + 16384 * KV_BYTES_PER_TOKEN
    (small,) = rank([own(100_000_000)], LAPTOP, {})
    assert small.need_bytes == 205_000_000


def test_what_does_not_fit_the_memory_says_so_in_numbers() -> None:
    machine = replace(LAPTOP, memory_bytes=4 * GB + RESERVE_BYTES)
    (one,) = rank([own(4 * GB)], machine, {})
    assert (one.fits, one.reason) == (False, "needs 5.5 GB of memory, 4.0 GB are free")


def test_a_loaded_model_fits_whatever_is_free() -> None:
    (one,) = rank([own(4 * GB, state="loaded")], replace(LAPTOP, memory_bytes=0), {})
    assert one.fits


def test_only_what_is_downloaded_needs_disk() -> None:
    machine = replace(LAPTOP, disk_bytes=GB)
    here, there = rank([own(2 * GB), own(2 * GB, "there", "not_pulled")], machine, {})
    assert (here.name, here.fits, here.download_bytes) == ("mine", True, 0)
    assert (there.fits, there.download_bytes) == (False, 2 * GB)
    assert there.reason == "needs 2.1 GB of disk space, 1.0 GB are free"


def test_readable_ones_come_first_largest_first_then_slow_ones_then_those_that_do_not_fit() -> None:
    ranked = rank([own(size * GB, f"{size}") for size in (1, 2, 3, 9, 8, 20, 30)], LAPTOP, {})
    # 40 GB/s over 8 GB is five tokens a second.
    assert [one.name for one in ranked] == ["8", "3", "2", "1", "9", "20", "30"]
    assert [one.fits for one in ranked] == [True] * 5 + [False] * 2


def test_the_measured_rate_decides_the_place() -> None:
    ranked = rank([own(2 * GB, "slow"), own(GB, "fast")], LAPTOP, {"slow": 1.0})
    assert [one.name for one in ranked] == ["fast", "slow"]


def test_without_a_bandwidth_size_alone_decides() -> None:
    machine = replace(LAPTOP, bandwidth_bytes_per_s=None)
    ranked = rank([own(GB, "a"), own(3 * GB, "b")], machine, {})
    assert [(one.name, one.tokens_per_s) for one in ranked] == [("b", None), ("a", None)]


def test_unknown_memory_refuses_nothing() -> None:
    assert all(one.fits for one in rank(catalogue(), replace(LAPTOP, memory_bytes=None), {}))


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (LAPTOP, "hf:google/gemma-4-12B-it-qat-q4_0-gguf:Q4_0"),
        (replace(LAPTOP, memory_bytes=8 * GB), QWEN_9B),
        (replace(LAPTOP, bandwidth_bytes_per_s=14 * GB), QWEN_4B),
        # Nothing can be read as it comes: the fastest.
        (replace(LAPTOP, bandwidth_bytes_per_s=GB), "hf:unsloth/Qwen3.5-2B-GGUF:Q4_K_M"),
        (replace(LAPTOP, memory_bytes=GB), None),
        (replace(LAPTOP, disk_bytes=0), None),
    ],
    ids=["laptop", "short memory", "slow", "very slow", "no memory", "no disk"],
)
def test_the_best_is_for_everything_and_fits(machine: Machine, name: str | None) -> None:
    found = best(rank(catalogue(), machine, {}))
    assert (found.name if found is not None else None) == name


def test_what_is_here_already_is_not_offered() -> None:
    listed = [replace(row, state="available") if row.name == QWEN_9B else row for row in catalogue()]
    machine = replace(LAPTOP, memory_bytes=8 * GB)
    found = best(rank(listed, machine, {}))
    assert found is not None
    assert found.name == "hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M"
