"""The client costs what its imports cost: the standard library only, and little of it where every call passes."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import agentgw
from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.local.sockets import bind_socket
from tests.client.fakedaemon import FakeDaemon
from tests.root import ROOT

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(agentgw.__path__, "agentgw.")
    # `python -m agentgw` is the program itself.
    if module.name != "agentgw.__main__"
)
# Each of them costs a millisecond or more of a call's thirty.
HEAVY = {
    "asyncio", "bz2", "contextlib", "dataclasses", "datetime", "difflib", "email", "hashlib", "http",
    "importlib.metadata", "inspect", "logging", "lzma", "pathlib", "platformdirs", "random", "selectors", "shlex",
    "shutil", "socket", "ssl", "subprocess", "tempfile", "threading", "traceback", "typing", "urllib", "uuid", "zlib",
}  # fmt: skip


def test_every_module_imports_without_anything_installed() -> None:
    script = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        f"for name in {MODULES!r}: __import__(name)\n"
        "import json; print(json.dumps([getattr(module, '__file__', None) for module in sys.modules.values()]))"
    )
    done = subprocess.run([sys.executable, "-S", "-I", "-c", script], capture_output=True, text=True, cwd="/")
    assert done.stderr == ""
    library = Path(os.__file__).parent
    for file in filter(None, json.loads(done.stdout)):
        path = Path(file)
        ours = path.is_relative_to(ROOT / "agentgw")
        assert ours or (path.is_relative_to(library) and "site-packages" not in path.parts), file


@pytest.mark.parametrize(
    "words", [["run", "--no-session", "hi"], ["status"], ["call", "ping"], ["run", "-m", "echo", "--json", "hi"]]
)
def test_the_common_verbs_load_little(tmp_path: Path, words: list[str]) -> None:
    paths = Paths(Environment({"AGENTGW_HOME": str(tmp_path / "home")}))
    prepare(paths)
    status = {
        "version": "x", "pid": 1, "uptime_s": 1, "socket": "x", "scheduler": {"enabled": False, "jobs_count": 0},
        "service": {"provider": "x", "model": "x"}, "models": [], "workers": [], "queue": 0, "sessions": 0,
        "db_bytes": 0, "rss_bytes": 0, "connections": 0, "log": "x",
    }  # fmt: skip
    answers = {"turn.start": lambda peer, params: peer.delta("hi") or {"text": "hi"}, "daemon.status": status}
    script = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        f"from agentgw.cli.main import run\nstatus = run({words!r})\n"
        "import json; print(json.dumps([status, sorted(sys.modules)]))"
    )
    with FakeDaemon(bind_socket(paths), answers):
        done = subprocess.run(
            [sys.executable, "-S", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={"AGENTGW_HOME": paths.home, "LANG": "C.UTF-8"},
        )  # fmt: skip
    assert done.stderr == ""
    exit_status, modules = json.loads(done.stdout.splitlines()[-1])
    assert exit_status == 0
    assert HEAVY & set(modules) == set()
    ours = {name.removeprefix("agentgw.") for name in modules if name.startswith("agentgw.")}
    tables = {f"protocol.{name}" for name in ("records.schema", "types", "methods", "events")}
    assert not ours & (tables | {f"local.lifetime.{name}" for name in ("opening", "spawn", "stopping")})
    assert {name for name in ours if name.startswith("cli.commands.")} == {f"cli.commands.{words[0]}"}


def test_no_verb_is_loaded_for_help_and_version() -> None:
    for word in ("--help", "--version"):
        script = (
            f"import sys; sys.path.append({str(ROOT)!r})\nfrom agentgw.cli.main import run\nrun([{word!r}])\n"
            "print(sorted(name for name in sys.modules if name.startswith('agentgw.')))"
        )
        done = subprocess.run([sys.executable, "-S", "-I", "-c", script], capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == str(
            [
                "agentgw.cli",
                "agentgw.cli.main",
                "agentgw.cli.output",
                "agentgw.protocol",
                "agentgw.protocol.errors",
            ]
        )
