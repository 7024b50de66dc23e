"""The transcripts of the documentation are what a shell prints; those of a model are called examples."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.home import AGENTGW, Home
from tests.patience import PATIENCE_S
from tests.root import README, ROOT

pytestmark = pytest.mark.e2e
# Pages whose blocks of `console` are run, each in an installation without a model.
RUN = (README, ROOT / "docs" / "pipe.md")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """The fenced blocks of a page: the text before it, its language, what is in it."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        yield text[: found.start()].rstrip(), found[1], found[2]


def transcripts() -> dict[str, str]:
    """The blocks that are run, by their page and place."""
    return {
        f"{page.name}-{number}": block
        for page in RUN
        for number, (_, language, block) in enumerate(blocks(page))
        if language == "console"
    }


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with Home() as made:
        made.environ["PATH"] = f"{Path(AGENTGW).parent}:{os.defpath}"
        yield made


@pytest.mark.parametrize("block", transcripts().values(), ids=transcripts())
def test_the_page_shows_what_is_printed(home: Home, block: str) -> None:
    commands = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    assert commands
    for command, _, printed in (part.partition("\n") for part in commands):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], env=home.environ, cwd=home.work, text=True, timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.stdout == printed, command


def test_the_readme_is_among_those_that_are_run() -> None:
    assert {name.rpartition("-")[0] for name in transcripts()} == {page.name for page in RUN}


@pytest.mark.parametrize("page", [README, *sorted(ROOT.glob("docs/*.md"))], ids=lambda page: page.name)
def test_what_shows_an_answer_and_is_not_run_is_called_an_example(page: Path) -> None:
    for before, language, block in blocks(page):
        if (page in RUN and language == "console") or not shows_an_answer(block):
            continue
        paragraph = before.rpartition("\n\n")[2]
        opening = page.read_text().partition("\n## ")[0]
        assert re.search("[Ee]xample|of the starter model", paragraph + opening), block


def shows_an_answer(block: str) -> bool:
    """Tells whether something is typed to a model and a line that is no command, and no rest of one, follows."""
    lines = block.splitlines()
    asked = [number for number, line in enumerate(lines) if re.match(r"\$ .*agentgw run|› \w", line)]
    return any(
        number + 1 < len(lines)
        and not lines[number].endswith("\\")
        and not lines[number + 1].startswith(("$", "›", "agentgw:"))
        for number in asked
    )
