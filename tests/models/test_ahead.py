from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.config.settings import ModelSection, ProviderSection, Settings
from agentgw_daemon.models.ahead import is_worker_likely

ENDPOINT = {"there": ProviderSection(base_url="http://127.0.0.1:1/v1", models=("m",))}


@pytest.mark.parametrize(
    ("default", "likely"),
    [
        ("echo", False), ("there/m", False), ("there/big.gguf", False), ("nowhere/m", False), ("~/own.gguf", False),
        ("smollm2:135m", True), ("/own.gguf", True), ("hf:owner/repo", True),
    ],
)  # fmt: skip
def test_a_default_model_decides(default: str, likely: bool, tmp_path: Path) -> None:
    settings = Settings(model=ModelSection(default=default), providers=ENDPOINT)
    assert is_worker_likely(settings, tmp_path, None) is likely


@pytest.mark.parametrize("pulled", [True, False])
@pytest.mark.parametrize("providers", [{}, ENDPOINT])
def test_without_a_default_it_is_likely_unless_there_are_endpoints_alone(
    pulled: bool, providers: dict[str, ProviderSection], tmp_path: Path
) -> None:
    if pulled:
        (tmp_path / "model.gguf").touch()
    assert is_worker_likely(Settings(providers=providers), tmp_path, None) is (pulled or not providers)


def test_a_folder_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    assert not is_worker_likely(Settings(providers=ENDPOINT), tmp_path / "models", None)


def test_a_file_in_the_home_is_one_of_this_machine(tmp_path: Path) -> None:
    settings = Settings(model=ModelSection(default="~/own.gguf"))
    assert is_worker_likely(settings, tmp_path, "/home/ida")
