"""The wheel, as a user gets it: built, installed into a second environment, run from an empty directory."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw import __version__
from tests.patience import PATIENCE_S
from tests.root import ROOT

pytestmark = pytest.mark.e2e

SKILLS = ("general-assistant", "code-assistant", "quick-assistant", "summarize-document", "project-manager")
MODULES = (
    "agentgw/cli/main.py",
    "agentgw_daemon/main.py",
    "agentgw_daemon/workers/model/worker.py",
    "agentgw_shell/__init__.py",
)


def run(*command: object, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        [os.fspath(part) for part in command],  # type: ignore[arg-type]
        cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, f"{command} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source distribution, and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin/` of an environment with the wheel, which borrows the dependencies from this one: nothing is built again.

    Lines of a .pth file are added as they are, without the .pth files behind them: this environment's editable
    install of agentgw does not come along.
    """
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(packages, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # The borrowed environment has agentgw's metadata too, so pip is told not to look at what is there.
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        "--ignore-installed",
        wheel,
    )
    return home / "bin"


@pytest.fixture
def home(tmp_path: Path, binaries: Path) -> Iterator[dict[str, str]]:
    """The environment of a fresh user; their daemon is stopped in the end."""
    environment = {"AGENTGW_HOME": str(tmp_path / "home"), "PATH": os.defpath, "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    yield environment
    subprocess.run([binaries / "agentgw", "stop"], env=environment, capture_output=True, timeout=PATIENCE_S)


def names_in(archive: Path) -> list[str]:
    if archive.suffix == ".whl":
        return zipfile.ZipFile(archive).namelist()
    with tarfile.open(archive) as sdist:
        return [name.partition("/")[2] for name in sdist.getnames()]


def test_the_wheel_has_the_packages_what_is_shipped_with_them_and_the_licence(wheel: Path) -> None:
    names = names_in(wheel)
    assert set(MODULES) <= set(names)
    assert {f"agentgw/_shipped/skills/{skill}/SKILL.md" for skill in SKILLS} <= set(names)
    units = ("systemd-user/agentgw.socket", "systemd-user/agentgw.service", "launchd/org.agentgw.daemon.plist")
    assert {f"agentgw/_shipped/{unit}" for unit in units} <= set(names)
    scripts = {f"{name}.{shell}" for name in ("completion", "init", "remember") for shell in ("bash", "zsh", "fish")}
    assert {f"agentgw/cli/shells/files/{script}" for script in scripts} <= set(names)
    assert any(name.endswith(".data/data/share/man/man1/agentgw.1") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_has_nothing_that_only_development_needs(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in names_in(wheel)}
    packages = {top for top in tops if not top.endswith((".dist-info", ".data"))}
    assert packages == {"agentgw", "agentgw_daemon", "agentgw_shell"}
    parts = {part for name in names_in(wheel) for part in name.split("/")}
    assert not [part for part in parts if part.startswith(("test_", "conftest")) or part == "tests"]
    assert not [part for part in parts if part.endswith((".pyc", ".gguf"))]


def test_the_source_distribution_can_be_tested_and_has_no_caches(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    names = names_in(sdist)
    wanted = {"pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt", "tests/conftest.py"}
    assert wanted <= set(names)
    assert not [name for name in names if name.startswith((".venv/", ".cache/")) or name.endswith((".pyc", ".gguf"))]


def test_the_installed_package_is_the_wheels_and_not_the_checkout(binaries: Path, tmp_path: Path) -> None:
    code = "import agentgw as a, agentgw_daemon as d, agentgw_shell as s; print(a.__file__, d.__file__, s.__file__)"
    found = run(binaries / "python", "-c", code, cwd=tmp_path).split()
    assert len(found) == 3
    assert all(Path(path).is_relative_to(binaries.parent) for path in found)


def test_a_fresh_user_in_an_empty_directory(binaries: Path, home: dict[str, str], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    def agentgw(*words: str) -> str:
        return run(binaries / "agentgw", *words, cwd=empty, environment=home)

    assert agentgw("--version") == f"agentgw {__version__}\n"
    assert "agentgw run" in agentgw("--help")
    listed = agentgw("skills", "list")
    assert [skill for skill in SKILLS if skill not in listed] == []
    assert agentgw("run", "-m", "echo", "hello") == "hello\n"
    agentgw("stop")
    assert list(empty.iterdir()) == []
    assert not Path(home["AGENTGW_HOME"], "run", "agentgw.sock").exists()
