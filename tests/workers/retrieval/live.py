"""The facade over a fake or a real worker, for the time of a test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from agentgw_daemon.retrieval.pool import Resolve, Retrieval, open_retrieval
from agentgw_daemon.retrieval.spec import RetrievalSettings
from tests.patience import PATIENCE_S
from tests.retrieval.fakeworker import fake_embedder, fake_settings


@asynccontextmanager
async def running(
    settings: RetrievalSettings | None = None, resolve: Resolve = fake_embedder
) -> AsyncIterator[Retrieval]:
    """Retrieval with workers of its own, the fake one unless told otherwise."""
    with trio.fail_after(PATIENCE_S):
        async with open_retrieval(
            settings or fake_settings(), resolve=resolve, environ=os.environ, instance="test"
        ) as retrieval:
            yield retrieval
