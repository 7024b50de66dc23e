"""The transcripts of docs/pipe.md are what a shell prints."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.home import AGENTGW, Home

pytestmark = pytest.mark.e2e
PAGE = Path(__file__).parent.parent.parent / "docs" / "pipe.md"


def transcripts() -> list[tuple[str, str]]:
    """Each command of the page with what it prints."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    commands = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, printed) for command, _, printed in (part.partition("\n") for part in commands)]


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with Home() as made:
        made.environ["PATH"] = f"{Path(AGENTGW).parent}:{os.defpath}"
        yield made


@pytest.mark.parametrize(("command", "printed"), transcripts())
def test_the_page_shows_what_is_printed(home: Home, command: str, printed: str) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], env=home.environ, cwd=home.work, text=True, timeout=120,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.stdout == printed
