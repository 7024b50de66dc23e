"""A database in a temporary directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentgw_daemon.storage.database import Database


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def database(data: Path) -> AsyncIterator[Database]:
    async with Database.open(data) as opened:
        yield opened
