"""An installation without torch, transformers and sentence-transformers: documents through llama.cpp alone."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw import __version__
from agentgw_daemon.workers.retrieval.embedding.encoders import TORCH_AFTER_TEXTS
from tests.e2e.home import Home
from tests.e2e.versions import Installation
from tests.root import ROOT

pytestmark = pytest.mark.e2e

# Refuses these imports as an environment does that does not have them. Read by the interpreter at its start.
_HIDING = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "sentence_transformers", "nvidia"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    installation = Installation(tmp_path_factory.mktemp("slim") / "venv", __version__)
    (installation.packages / "hide_torch.py").write_text(_HIDING)
    (installation.packages / "hide_torch.pth").write_text("import hide_torch\n")
    with Home() as made:
        made.agentgw = installation.agentgw
        made.add_embedder()
        yield made
        made.stop()
        assert "Traceback" not in made.log


def test_more_texts_than_torch_would_wait_for_are_ingested_and_found(home: Home) -> None:
    notes = home.work / "notes"
    notes.mkdir()
    for number in range(TORCH_AFTER_TEXTS + 10):
        (notes / f"{number}.md").write_text(f"# Note {number}\n\nThe shelf number {number} holds jars of jam.\n")
    (notes / "rent.md").write_text("# Flat\n\nThe rent is due on the third of each month.\n")
    ingested = json.loads(home.run("ingest", "--json", str(notes)).out)
    assert (ingested["added"], ingested["failed"]) == (TORCH_AFTER_TEXTS + 11, [])
    found = json.loads(home.run("search", "--json", "when do I pay the landlord?").out)
    assert found["chunks"][0]["source"].endswith("rent.md")


def test_the_doctor_says_so_without_an_error(home: Home) -> None:
    findings = {found["check"]: found for found in home.call("daemon.doctor")["findings"]}
    assert findings["torch"]["severity"] == "info"
    assert "torch is not installed" in findings["torch"]["message"]
    assert findings["embedder"]["severity"] == "ok"


def test_the_slim_group_is_every_dependency_but_torch_and_fits_in_a_gigabyte() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    slim = project["dependency-groups"]["slim"]
    assert slim == [one for one in project["project"]["dependencies"] if not one.startswith("sentence-transformers")]
    names = _closure(slim)
    assert not names & {"torch", "transformers", "sentence-transformers"}
    sizes = {name: _size(name) for name in names}
    assert sum(sizes.values()) < 1e9, sorted(sizes.items(), key=lambda pair: -pair[1])[:10]


def _closure(requirements: list[str]) -> set[str]:
    """The distributions of this environment that these requirements bring, by their normalised names."""
    found: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        if "extra ==" in requirement:
            continue
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        normal = re.sub(r"[-_.]+", "-", name[0]).lower()
        try:
            needed = importlib.metadata.requires(normal) or []
        # For another system or Python: a marker says so.
        except importlib.metadata.PackageNotFoundError:
            assert ";" in requirement, requirement
            continue
        if normal not in found:
            found.add(normal)
            waiting += needed
    return found


def _size(name: str) -> int:
    files = importlib.metadata.files(name) or []
    purelib = Path(sysconfig.get_path("purelib"))
    return sum(path.stat().st_size for file in files if (path := purelib / file).is_file())
