"""Files of the service: whatever lies at their names is judged at once, and what is not ours stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agentgw.local.service import files
from agentgw.protocol.errors import ConfigRefused


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("not-mounted"))


@pytest.mark.parametrize(
    ("make", "why"), [(os.mkfifo, "is no file"), (os.mkdir, "is no file"), (_link, "is a link that leads nowhere")]
)
def test_what_is_no_file_of_ours_is_told_and_left_alone(tmp_path: Path, make: Callable[[Path], None], why: str) -> None:
    path = tmp_path / "agentgw.service"
    make(path)
    before = path.lstat()
    for use in (files.read, files.remove, lambda name: files.write(name, "text")):
        with pytest.raises(ConfigRefused, match=rf"agentgw\.service {why}"):
            use(str(path))
    assert files.state_of(str(path), "text") == "differs"
    assert path.lstat() == before
