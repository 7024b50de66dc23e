"""Fixtures of the chat's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.shell.desk import Desk, desk_of


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Endpoint() as model, desk_of(tmp_path, model) as made:
        yield made
