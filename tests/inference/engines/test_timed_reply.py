"""Patience with an endpoint, by what it said and for how long nobody was waiting."""

from __future__ import annotations

from typing import Any

import pytest

from agentgw.protocol.types import ChatMessage, Options
from agentgw_daemon.inference.engine import GenerationRequest
from agentgw_daemon.inference.engines.chunks import read_piece
from agentgw_daemon.inference.engines.endpoint_http import Patience
from agentgw_daemon.inference.engines.timed_reply import TimedReply
from tests.inference.engines.deltas import delta

pytestmark = pytest.mark.anyio

PATIENCE = Patience(silence_s=10, usage_s=2)


def reply() -> TimedReply:
    return TimedReply(GenerationRequest(messages=(ChatMessage(role="user", content="hi"),), options=Options()), 1 << 20)


def heard(made: TimedReply, chunk: dict[str, Any]) -> float:
    """The patience there is after this chunk."""
    list(made.take(read_piece(chunk)))
    return made.patience_left_s(PATIENCE)


async def test_each_event_is_waited_for_anew_and_bytes_that_make_none_are_not() -> None:
    made = reply()
    assert made.patience_left_s(PATIENCE) == 10
    made.waited(4)
    made.waited(5)
    assert made.patience_left_s(PATIENCE) == 1
    assert heard(made, delta(content="x")) == 10
    made.waited(11)
    assert made.patience_left_s(PATIENCE) == 0


async def test_events_without_words_are_not_waited_for_without_end() -> None:
    made = reply()
    for _ in range(3):
        made.waited(9)
        assert heard(made, delta(content="")) == 10
    made.waited(9)
    assert heard(made, delta(content="")) == 4
    assert heard(made, delta(content="x")) == 10


async def test_after_the_end_there_are_two_seconds_whatever_comes_but_words() -> None:
    made = reply()
    assert heard(made, delta("stop", content="x")) == 2
    made.waited(1.5)
    assert heard(made, {"choices": []}) == 0.5
    assert heard(made, delta("stop", content="y")) == 2


async def test_usage_by_itself_after_the_end_is_the_last_thing() -> None:
    made = reply()
    heard(made, {**delta(content="x"), "usage": {"prompt_tokens": 1}})
    heard(made, {**delta("stop"), "usage": {"prompt_tokens": 1}})
    assert not made.told
    heard(made, {"choices": [], "usage": {"prompt_tokens": 1}})
    assert made.told
