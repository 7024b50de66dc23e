from __future__ import annotations

from pathlib import Path

import pytest

from agentgw.local.files import shipped as module
from agentgw.local.files.shipped import shipped

ROOT = Path(module.__file__).parents[3]


def test_a_folder_is_found_in_a_checkout() -> None:
    assert shipped("skills") == str(ROOT / "skills")


def test_a_folder_is_found_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "agentgw"
    (package / "_shipped" / "skills").mkdir(parents=True)
    # A folder of that name beside an installed package is somebody else's.
    (tmp_path / "skills").mkdir()
    monkeypatch.setattr(module, "__file__", str(package / "local" / "files" / "shipped.py"))
    assert shipped("skills") == str(package / "_shipped" / "skills")


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="without its folder nothing-of-that-name"):
        shipped("nothing-of-that-name")
