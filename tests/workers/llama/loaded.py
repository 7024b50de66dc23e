"""A model that answers a script, loaded in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentgw_daemon.workers.llama import llama
from tests.workers.llama.tinygguf import SCRIPT, chain_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[llama.LlamaModel]:
    """One for the tests of a module."""
    made = llama.LlamaModel(str(chain_model(tmp_path_factory.mktemp("models") / "chain.gguf", SCRIPT)))
    yield made
    made.close()
