"""Shared fixtures. Every test that starts a process does so under its own AGENTGW_HOME."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """anyio's plugin runs the async tests on trio."""
    return "trio"
