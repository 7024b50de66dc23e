"""The file of a graph, which is a cache: written whole or not at all, taken only when it is what was saved.

Beside `NAME.hnsw` lies `NAME.json`, which describes it with its digest. The database has the digest of the description,
so of a chain of two nothing can be changed, swapped or made up. hnswlib's reader overflows on a damaged file: it gets
to see one only behind both digests, and only in the worker.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from agentgw_daemon.system.durable import sync_path
from agentgw_daemon.workers.protocol.codec import value
from agentgw_daemon.workers.retrieval.index.index_graph import DELETED, Graph

FORMAT: Final = 1
# A description lists deleted labels, at most a quarter of some millions.
_MAX_DESCRIPTION_BYTES: Final = 64 << 20


class Unfit(Exception):
    """The file is not taken; the text says why."""


@value
class IndexIdentity:
    """Identity that a file must have."""

    key: str
    dim: int
    embedder_id: str


def save(folder: Path, identity: IndexIdentity, graph: Graph, generation: int) -> tuple[str, str]:
    """Write a new file; its name and the digest of its description. Raises OSError, and leaves nothing then."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{identity.key}-{generation}"
    data, description = folder / f"{name}.hnsw", folder / f"{name}.json"
    try:
        digest, size = _write_graph(data, graph)
        text = json.dumps(
            {
                "format": FORMAT, "key": identity.key, "dim": identity.dim, "embedder_id": identity.embedder_id,
                "generation": generation, "sha256": digest, "size_bytes": size, "count": graph.live + graph.deleted,
                "max_label": graph.max_label,
                "deleted": base64.b64encode(graph.with_state(DELETED).astype("<i8").tobytes()).decode("ascii"),
            }
        ).encode("ascii")  # fmt: skip
        _write(description, text)
    except OSError:
        with contextlib.suppress(OSError):
            data.unlink(missing_ok=True)
        raise
    sync_path(folder)
    return data.name, hashlib.sha256(text).hexdigest()


def load(folder: Path, file: str, sha256: str, identity: IndexIdentity) -> tuple[Graph, int]:
    """The graph of a file and its generation. Raises Unfit."""
    data = folder / os.path.basename(file)
    try:
        said = _described(data.with_suffix(".json"), sha256)
        found = IndexIdentity(key=said["key"], dim=said["dim"], embedder_id=said["embedder_id"])
        if said["format"] != FORMAT or found != identity:
            raise Unfit("it is of another index")
        if _digest(data, said["size_bytes"]) != said["sha256"]:
            raise Unfit("its digest is another")
        graph = Graph.load(identity.dim, str(data), np.frombuffer(base64.b64decode(said["deleted"]), dtype="<i8"))
    except OSError as error:
        raise Unfit(error.strerror or str(error)) from error
    except RuntimeError as error:
        raise Unfit(f"hnswlib: {error}") from error
    if graph.live + graph.deleted != said["count"] or graph.max_label != said["max_label"]:
        raise Unfit("it does not hold what it should")
    return graph, said["generation"]


def _described(path: Path, sha256: str) -> dict[str, Any]:
    with path.open("rb") as opened:
        text = opened.read(_MAX_DESCRIPTION_BYTES + 1)
    if hashlib.sha256(text).hexdigest() != sha256:
        raise Unfit("its description is another")
    # Ours, to the last bit: the digest is the database's.
    said: dict[str, Any] = json.loads(text)
    return said


def _digest(path: Path, size: int) -> str:
    with path.open("rb") as opened:
        if os.fstat(opened.fileno()).st_size != size:
            raise Unfit("its size is another")
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _write_graph(final: Path, graph: Graph) -> tuple[str, int]:
    partial = final.with_suffix(".tmp")
    try:
        # Made here, so that nobody else may read what hnswlib writes into it.
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        try:
            graph.index.save_index(str(partial))
        except RuntimeError as error:
            raise OSError(f"hnswlib: {error}") from error
        # hnswlib does not look whether its writes succeed.
        size = graph.index.index_file_size()
        if partial.stat().st_size != size:
            raise OSError("the disk did not take the whole file")
        sync_path(partial)
        digest = _digest(partial, size)
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
    return digest, size


def _write(final: Path, content: bytes) -> None:
    partial = final.with_suffix(".json.tmp")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)
