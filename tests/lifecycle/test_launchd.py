"""launchd's call, with a stand-in for its library in C: the real one was not at hand."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from agentgw.protocol.errors import ConfigRefused
from agentgw_daemon.lifecycle.launchd import activated_sockets

_SOURCE = r"""
#include <errno.h>
#include <stdlib.h>
#include <string.h>
int launch_activate_socket(const char *name, int **fds, size_t *count) {
    if (strcmp(name, "rpc") == 0) {
        *fds = malloc(2 * sizeof(int));
        (*fds)[0] = 7; (*fds)[1] = 70000;
        *count = 2;
        return 0;
    }
    if (strcmp(name, "none") == 0) { *fds = malloc(1); *count = 0; return 0; }
    if (strcmp(name, "again") == 0) return EALREADY;
    if (strcmp(name, "foreign") == 0) return ESRCH;
    return ENOENT;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The stand-in."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder: Path = tmp_path_factory.mktemp("launchd")
    (folder / "launch.c").write_text(_SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "launch.so", folder / "launch.c"], check=True)
    return ctypes.CDLL(str(folder / "launch.so"))


def test_the_descriptors_of_a_name_are_given(library: ctypes.CDLL) -> None:
    assert activated_sockets(library=library) == (7, 70000)
    assert activated_sockets("none", library=library) == ()


@pytest.mark.parametrize("name", ["foreign", "unknown"])
def test_a_process_that_launchd_did_not_start_has_none(library: ctypes.CDLL, name: str) -> None:
    assert activated_sockets(name, library=library) == ()


def test_asking_twice_is_an_error(library: ctypes.CDLL) -> None:
    with pytest.raises(ConfigRefused, match="launchd does not give the socket again"):
        activated_sockets("again", library=library)


def test_a_system_without_launchd_has_none() -> None:
    assert activated_sockets() == ()
