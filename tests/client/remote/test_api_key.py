from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw.protocol.errors import ConfigRefused
from agentgw.remote.api_key import find_key


def written(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_environments_key_goes_before_the_file(tmp_path: Path) -> None:
    file = written(tmp_path / "key", "of-the-file\n")
    assert find_key("given", file) == "given"
    assert find_key("", file) == "of-the-file"
    assert find_key("", "") == ""


@pytest.mark.parametrize("key", ["a b", "a\nX: y", "kéy", "k" * 513])
def test_what_no_header_can_carry_is_no_key(key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="AGENTGW_API_KEY holds no key"):
        find_key(key, "")
    with pytest.raises(ConfigRefused, match="holds no key"):
        find_key("", written(tmp_path / "key", key))


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="open to others"):
        find_key("", written(tmp_path / "key", "k", 0o644))


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigRefused, match="is not a file"):
        find_key("", str(tmp_path / "pipe"))
    with pytest.raises(ConfigRefused, match="cannot be read"):
        find_key("", str(tmp_path / "nothing"))
