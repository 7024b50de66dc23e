from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.workers.protocol.footprint import MAX_KV_BYTES, ModelShape, cells, need, shape_of

LLAMA = {
    "general.architecture": "llama",
    "llama.block_count": 30,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "llama.embedding_length": 576,
    "llama.context_length": 8192,
    "tokenizer.ggml.tokens": "[49152 values]",
}
_NONSENSE = st.integers() | st.floats() | st.booleans() | st.sampled_from(["", "[9 values]", "[-1 values]", "llama"])


def test_several_slots_share_two_contexts_and_one_slot_has_one() -> None:
    assert [cells(1000, slots, bytes_per_token=1, spare_bytes=None) for slots in (1, 2, 4)] == [1000, 2000, 2000]


def test_the_bound_holds_but_for_one_full_context() -> None:
    each = MAX_KV_BYTES // 1500
    assert cells(1000, 4, bytes_per_token=each, spare_bytes=None) == 1500
    assert cells(3000, 4, bytes_per_token=each, spare_bytes=None) == 3000


def test_little_memory_means_fewer_cells() -> None:
    assert cells(1000, 4, bytes_per_token=100, spare_bytes=4 * 100 * 1200) == 1200
    assert cells(1000, 4, bytes_per_token=100, spare_bytes=-5) == 1000


def test_cells_never_stretch_a_context_that_need_not_be() -> None:
    assert cells(1000, 4, bytes_per_token=1, spare_bytes=None, n_ctx_original_tokens=1500) == 1500
    assert cells(2000, 4, bytes_per_token=1, spare_bytes=None, n_ctx_original_tokens=1500) == 4000


@given(
    n_ctx=st.integers(1, 1 << 20), slots=st.integers(1, 64), each=st.integers(0, 1 << 20),
    spare=st.none() | st.integers(-(1 << 40), 1 << 40), original=st.integers(0, 1 << 20),
)  # fmt: skip
def test_there_is_a_context_and_at_most_two_and_more_than_one_only_within_the_bound(
    n_ctx: int, slots: int, each: int, spare: int | None, original: int
) -> None:
    found = cells(n_ctx, slots, bytes_per_token=each, spare_bytes=spare, n_ctx_original_tokens=original)
    assert n_ctx <= found <= min(2, slots) * n_ctx
    assert found == n_ctx or found * each <= MAX_KV_BYTES


def test_a_header_tells_the_shape() -> None:
    assert shape_of(LLAMA) == ModelShape(
        kv_bytes_per_token=2 * 30 * 3 * (64 + 64), n_ctx_train_tokens=8192, n_vocabulary=49152, n_heads=9, width=576
    )


@pytest.mark.parametrize("key", ["attention.sliding_window", "attention.kv_lora_rank", "ssm.state_size"])
def test_nothing_is_claimed_of_a_context_that_is_smaller_than_it_looks(key: str) -> None:
    assert shape_of({**LLAMA, f"llama.{key}": 512}).kv_bytes_per_token == 0


def test_a_list_of_heads_counts_as_if_none_were_shared() -> None:
    assert shape_of({**LLAMA, "llama.attention.head_count_kv": "[30 values]"}).kv_bytes_per_token == 2 * 30 * 9 * 128


@given(st.dictionaries(st.sampled_from(list(LLAMA)), _NONSENSE))
def test_no_nonsense_in_a_header_breaks_it(nonsense: dict[str, object]) -> None:
    shape = shape_of({**LLAMA, **nonsense})
    assert all(value >= 0 for value in dataclasses.astuple(shape))
    assert need(shape, size_bytes=1, n_ctx_tokens=0, batch_tokens=256, plain=True).total >= 1


def test_the_need_is_weights_one_context_and_buffers() -> None:
    shape = shape_of(LLAMA)
    found = need(shape, size_bytes=98_000_000, n_ctx_tokens=0, batch_tokens=256, plain=False)
    assert (found.weights, found.context) == (98_000_000, 8192 * 23040)
    assert 50e6 < found.buffers < 70e6
    plain = need(shape, size_bytes=0, n_ctx_tokens=100_000, batch_tokens=256, plain=True)
    assert plain.context == found.context, "no request has more than the model was trained with"
    assert plain.buffers - found.buffers == 256 * 9 * 8192 * 4
