"""Places where the end-to-end tests find the starter chat model and the embedder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agentgw_daemon.models.embedders import CONVERSION_FILE
from tests.root import ROOT

NAME: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SIZE_BYTES: Final = 98_362_432


def starter_model() -> Path:
    """The model's file in this checkout. Raises FileNotFoundError that says how to get it."""
    path = ROOT / ".cache" / "models" / NAME
    if not path.is_file() or path.stat().st_size != SIZE_BYTES:
        raise FileNotFoundError(
            f"{path} is missing or incomplete: `make models` gets it ({SIZE_BYTES} bytes, {SHA256})"
        )
    return path


def embedder_folder() -> Path:
    """The folder of the default embedder, as a pull leaves it. Raises FileNotFoundError that says how to get it."""
    path = ROOT / ".cache" / "models" / "all-minilm-l6-v2"
    if not (path / CONVERSION_FILE).is_file():
        raise FileNotFoundError(f"{path} is missing or incomplete: `make models` gets it")
    return path
