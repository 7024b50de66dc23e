"""Adding up what the steps of a turn took. Pure."""

from __future__ import annotations

from agentgw.protocol.types import Timings, Usage


def sum_usage(one: Usage, other: Usage) -> Usage:
    """The usage of both together."""
    return Usage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens, cached_tokens=one.cached_tokens + other.cached_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )  # fmt: skip


def sum_timings(one: Timings, other: Timings) -> Timings:
    """The timings added up; the first token is the first step's, and the rate is for the caller to reckon."""
    return Timings(
        queue_ms=one.queue_ms + other.queue_ms, load_ms=one.load_ms + other.load_ms,
        prefill_ms=one.prefill_ms + other.prefill_ms, decode_ms=one.decode_ms + other.decode_ms,
        first_token_ms=one.first_token_ms,
    )  # fmt: skip
