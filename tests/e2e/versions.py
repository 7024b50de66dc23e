"""Installations of agentgw of any version: copies of this one that borrow its dependencies."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

from tests.patience import PATIENCE_S
from tests.root import ROOT

_PACKAGES = (ROOT / "agentgw", ROOT / "daemon" / "agentgw_daemon", ROOT / "shell" / "agentgw_shell")
# As the wheel has them.
_SHIPPED = ("skills", "systemd-user", "launchd")


class Installation:
    """A virtual environment of its own. `agentgw` is its command line."""

    def __init__(self, place: Path, version: str) -> None:
        venv.create(place, with_pip=False, symlinks=True)
        python = place / "bin" / "python"
        found = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=True,
        )  # fmt: skip
        self.packages = Path(found.stdout.strip())
        # Added as it is, without its own .pth files: the agentgw of this checkout does not come along.
        (self.packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.agentgw = (str(python), "-P", "-m", "agentgw")
        self.install(version)

    def install(self, version: str) -> None:
        """Put this version in place of whatever is there."""
        for package in _PACKAGES:
            self._replace(package.name, package)
        for folder in _SHIPPED:
            shutil.copytree(ROOT / folder, self.packages / "agentgw" / "_shipped" / folder)
        self._set_version(version)

    def install_without_modules(self, version: str) -> None:
        """Put packages in place that have their version and nothing else: any import from now on fails."""
        for package in _PACKAGES:
            shutil.rmtree(self.packages / package.name)
            (self.packages / package.name).mkdir()
            (self.packages / package.name / "__init__.py").touch()
        (self.packages / "agentgw" / "__init__.py").write_text((ROOT / "agentgw" / "__init__.py").read_text())
        self._set_version(version)

    def _replace(self, name: str, source: Path) -> None:
        shutil.rmtree(self.packages / name, ignore_errors=True)
        # With what is compiled, as an installer leaves it: else every program would compile all that it imports.
        shutil.copytree(source, self.packages / name)

    def _set_version(self, version: str) -> None:
        file = self.packages / "agentgw" / "__init__.py"
        text, count = re.subn(r'__version__ = ".*"', f'__version__ = "{version}"', file.read_text())
        assert count == 1
        file.write_text(text)
        # Compiled code is known to be old by the second of its source and by its length, which may both be the same.
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
