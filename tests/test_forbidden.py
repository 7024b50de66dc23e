"""Things that no file of ours may do, found in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root import ROOT

_FILES = sorted(path for folder in ("agentgw", "daemon", "shell") for path in (ROOT / folder).rglob("*.py"))

# A forked child inherits the lock beside the database and SQLite's state: processes are started by exec only.
_FORBIDDEN = {"os.fork", "os.forkpty", "pty.fork", "multiprocessing", "concurrent.futures.ProcessPoolExecutor"}


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{name.name}" for name in names)
            case ast.Attribute():
                yield ast.unparse(node)


def _uses(source: str) -> set[str]:
    names = set(_names(ast.parse(source)))
    return {bad for bad in _FORBIDDEN for name in names if name == bad or name.startswith(bad + ".")}


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_process_is_forked(path: Path) -> None:
    assert not _uses(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.fork()",
        "from os import fork",
        "import multiprocessing.pool",
        "from multiprocessing import Process",
        "import pty\npty.fork()",
        "from concurrent.futures import ProcessPoolExecutor",
    ],
)
def test_each_way_of_forking_is_seen(source: str) -> None:
    assert _uses(source)
