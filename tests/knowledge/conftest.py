"""Searches that wait for their index, however busy the machine is: the product gives up soon, for somebody waits."""

from __future__ import annotations

import pytest

from agentgw_daemon.knowledge.search import indexing


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "PATIENCE_S", 20.0)
