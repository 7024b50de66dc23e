from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.files.told import first_time
from agentgw.local.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(Environment({"AGENTGW_HOME": str(tmp_path / "home")}))
    prepare(made)
    return made


def test_the_same_words_are_told_once_and_other_words_again(paths: Paths) -> None:
    assert [first_time(paths, "place", text) for text in ("a", "a", "b", "b", "a")] == [True, False, True, False, True]
    assert first_time(paths, "another", "a")


def test_what_is_remembered_is_private(paths: Paths) -> None:
    before = os.umask(0)
    try:
        first_time(paths, "place", "a")
    finally:
        os.umask(before)
    (file,) = [name for name in os.listdir(paths.state_dir) if name.startswith("told-")]
    assert os.stat(os.path.join(paths.state_dir, file)).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("what", ["no folder", "a link", "a pipe", "a directory"])
def test_a_state_folder_that_cannot_remember_tells_again(paths: Paths, tmp_path: Path, what: str) -> None:
    file = os.path.join(paths.state_dir, "told-place")
    target = tmp_path / "target"
    target.write_text("keep")
    if what == "no folder":
        os.rmdir(paths.state_dir)
    elif what == "a link":
        os.symlink(target, file)
    elif what == "a pipe":
        os.mkfifo(file)
    else:
        os.mkdir(file)
    assert [first_time(paths, "place", "a") for _ in range(2)] == [True, True]
    assert target.read_text() == "keep"
