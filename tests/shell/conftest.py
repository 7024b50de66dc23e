"""Fixtures of the chat's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.shell.chat_home import ChatHome, chat_home_in


@pytest.fixture
def chat_home(tmp_path: Path) -> Iterator[ChatHome]:
    with Endpoint() as model, chat_home_in(tmp_path, model) as made:
        yield made
