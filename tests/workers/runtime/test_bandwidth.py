"""The measurement itself: a figure from one round of copying, and the program's one line."""

from __future__ import annotations

import pytest

from agentgw_daemon.workers.runtime import bandwidth


def test_one_round_gives_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(bandwidth, "ROUND_S", 0.0)
    found = bandwidth.measure(total_s=0.0)
    assert found["bytes_per_s"] > 0
    assert 1 <= found["threads"] <= bandwidth.MAX_THREADS


def test_blocks_are_larger_than_a_cache() -> None:
    assert 2 * bandwidth.BLOCK_BYTES > 64 << 20
