"""A model hub and a models folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.hubserver import Hub, running_hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A model hub on this machine, empty."""
    with running_hub() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The models folder."""
    return tmp_path / "models"
