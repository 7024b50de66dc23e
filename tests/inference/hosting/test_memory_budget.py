from __future__ import annotations

from agentgw_daemon.inference.hosting.memory_budget import RESERVE_BYTES, Tenant, next_to_leave, no_room, spare_bytes
from agentgw_daemon.workers.protocol.footprint import MemoryNeed

GB = 10**9


def tenant(name: str, *, loaded: bool = True, idle: bool = True, idle_since: float = 0.0) -> Tenant:
    need = MemoryNeed(weights=4 * GB, context=GB)
    return Tenant(path=f"/{name}", name=name, need=need, loaded=loaded, idle=idle, idle_since=idle_since)


def test_weights_in_use_are_no_spare_memory_although_the_system_counts_them() -> None:
    available = RESERVE_BYTES + 10 * GB
    assert spare_bytes(available, []) == 10 * GB
    assert spare_bytes(available, [tenant("one")]) == 6 * GB
    assert spare_bytes(available, [tenant("one"), tenant("two"), tenant("three")]) == 0


def test_one_that_is_being_loaded_has_not_taken_its_context_yet() -> None:
    assert spare_bytes(RESERVE_BYTES + 10 * GB, [tenant("one", loaded=False)]) == 5 * GB


def test_the_longest_idle_leaves_first_and_a_busy_one_never() -> None:
    busy, loading = tenant("busy", idle=False), tenant("loading", loaded=False)
    early, late = tenant("early", idle_since=3), tenant("late", idle_since=5)
    assert next_to_leave([busy, late, loading, early]) is early
    assert next_to_leave([busy, loading]) is None


def test_the_refusal_has_the_numbers_and_what_would_help() -> None:
    error = no_room("big", MemoryNeed(weights=4_100_000_000, context=GB, buffers=GB // 10), 3 * GB, ["other"])
    assert error.message == (
        "big needs 5.2 GB of memory (weights 4.1 GB, context 1.1 GB), 3.0 GB are available"
    )  # fmt: skip
    assert error.hint == "set a smaller inference.n_ctx, or unload other"
    assert error.data["model"] == "big"
    small = no_room("big", MemoryNeed(weights=4 * GB, context=0), 40_000_000, [])
    assert "40 MB are available" in small.message
    assert small.hint == "use a smaller model, or a smaller quantisation of it"
