"""Prompts whose tokens are their words."""

from __future__ import annotations

from collections.abc import Sequence

from agentgw.protocol.types import ChatMessage
from agentgw_daemon.inference.engine import PromptCount
from agentgw_daemon.prompts.prompt import EarlierTurn


class Counter:
    """Counts a word as a token."""

    def __init__(self, n_ctx_tokens: int) -> None:
        self.n_ctx_tokens = n_ctx_tokens
        self.calls = 0

    async def __call__(self, messages: Sequence[ChatMessage]) -> PromptCount:
        self.calls += 1
        tokens = sum(len(message.content.split()) for message in messages)
        return PromptCount(tokens=tokens, n_ctx_tokens=self.n_ctx_tokens, text="")


def turn(words: int) -> EarlierTurn:
    return EarlierTurn(
        messages=(ChatMessage(role="user", content="u"), ChatMessage(role="assistant", content="w " * (words - 1)))
    )
