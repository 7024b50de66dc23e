"""A real sshd on loopback with keys and a configuration of its own, and the `ssh` that knows the way to it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.e2e.home import until
from tests.patience import PATIENCE_S

_SSHD = "/usr/sbin/sshd"
# It wants to be root only to become others; and it drops privileges into this folder.
_SEPARATION = Path("/run/sshd")


def missing() -> str:
    """The reason why there can be no sshd here; empty when there can."""
    if not os.access(_SSHD, os.X_OK) or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return "OpenSSH's server and client are not installed"
    if os.geteuid() == 0 and not _SEPARATION.is_dir():
        try:
            _SEPARATION.mkdir(mode=0o755)
        except OSError:
            return f"sshd needs {_SEPARATION}"
    return ""


class Sshd:
    """Runs until left. Sessions get `environ`."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700)
        for name in ("host", "client"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True, capture_output=True
            )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        shutil.copy(folder / "client.pub", folder / "authorized")
        public = (folder / "host.pub").read_text()
        (folder / "known").write_text(f"[127.0.0.1]:{self.port} {public}")
        given = "".join(f' "{name}={value}"' for name, value in environ.items())
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nPasswordAuthentication no\n"
            f"PermitRootLogin yes\n{given and 'SetEnv' + given}\n"
        )
        (folder / "ssh_config").write_text(
            f"IdentityFile {folder}/client\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n"
            "StrictHostKeyChecking yes\n"
        )
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
        program.chmod(0o700)
        self.url = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def path(self) -> str:
        """PATH with that ssh in front."""
        return f"{self._folder}/bin{os.pathsep}{os.environ['PATH']}"

    def __enter__(self) -> Self:
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen([_SSHD, "-D", "-e", "-f", self._folder / "sshd_config"], stderr=self._log)
        try:
            until(self._listens, "sshd listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._log.close()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S).close()
        except OSError:
            return False
        return True
