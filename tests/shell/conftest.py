"""Fixtures of the chat's tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.shell.desk import Desk
from tests.shell.program import AGENTGW


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Endpoint() as model:
        made = Desk(tmp_path, model)
        yield made
        subprocess.run([AGENTGW, "stop"], env=made.environment, capture_output=True, timeout=60, check=False)
