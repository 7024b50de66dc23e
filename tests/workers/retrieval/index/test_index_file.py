"""Damaged index files are refused before hnswlib sees them."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from agentgw_daemon.workers.retrieval.index.index_file import IndexIdentity, Unfit, load, save
from agentgw_daemon.workers.retrieval.index.index_graph import Graph
from tests.workers.retrieval.index.points import DIM, labels, points

IDENTITY = IndexIdentity(key="key", dim=DIM, embedder_id="e1")


def _graph(count: int = 400, seed: int = 1) -> Graph:
    graph = Graph(DIM, count)
    graph.add(labels(count), points(count, seed=seed), 1)
    graph.remove(labels(9, first=5))
    return graph


class Saved:
    """A saved graph, to be damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self.sha256 = save(folder, IDENTITY, _graph(), 7)
        self.data = folder / self.file
        self.description = self.data.with_suffix(".json")
        self.whole = self.data.read_bytes(), self.description.read_bytes()

    def restore(self) -> None:
        self.data.write_bytes(self.whole[0])
        self.description.write_bytes(self.whole[1])

    def load(self) -> tuple[Graph, int]:
        return load(self.folder, self.file, self.sha256, IDENTITY)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return Saved(tmp_path_factory.mktemp("index"))


@pytest.fixture(autouse=True)
def _whole(saved: Saved) -> Iterator[None]:
    yield
    saved.restore()


def test_what_was_saved_comes_back_with_its_marks(saved: Saved) -> None:
    graph, generation = saved.load()
    assert (generation, graph.live, graph.deleted, graph.max_label) == (7, 391, 9, 400)
    query = points(1, seed=5)[0]
    assert sorted(graph.nearest(query, 10)[0]) == sorted(_graph().nearest(query, 10)[0])
    assert oct(saved.data.stat().st_mode & 0o777) == "0o600"
    assert not list(saved.folder.glob("*.tmp"))


def _cut(chance: random.Random, saved: Saved) -> None:
    os.truncate(saved.data, chance.randrange(len(saved.whole[0])))


def _flip(chance: random.Random, saved: Saved) -> None:
    content = bytearray(saved.whole[0])
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    saved.data.write_bytes(content)


def _grow(chance: random.Random, saved: Saved) -> None:
    saved.data.write_bytes(saved.whole[0] + chance.randbytes(chance.randrange(1, 100)))


def _noise(chance: random.Random, saved: Saved) -> None:
    saved.data.write_bytes(chance.randbytes(len(saved.whole[0])))


def _craft(chance: random.Random, saved: Saved) -> None:
    """A header that lies: hnswlib keeps offset, max_elements, element count, sizes there, as 64 bit numbers."""
    content = bytearray(saved.whole[0])
    struct.pack_into("<Q", content, 8 * chance.randrange(6), chance.choice([0, 1, 57, 2**31, 2**62]))
    saved.data.write_bytes(content)


def _craft_both(chance: random.Random, saved: Saved) -> None:
    """Damages the file as before, with a description that matches: it is not the one that the database knows."""
    _craft(chance, saved)
    import hashlib

    said = json.loads(saved.whole[1])
    said["sha256"] = hashlib.sha256(saved.data.read_bytes()).hexdigest()
    saved.description.write_text(json.dumps(said))


def _lie(chance: random.Random, saved: Saved) -> None:
    said = json.loads(saved.whole[1])
    said[chance.choice(["count", "generation", "max_label", "size_bytes"])] += chance.choice([-1, 1])
    saved.description.write_text(json.dumps(said))


def _swap(chance: random.Random, saved: Saved) -> None:
    other = save(saved.folder / "other", IDENTITY, _graph(seed=chance.randrange(2, 99)), 7)[0]
    (saved.folder / "other" / other).replace(saved.data)


def _swap_both(chance: random.Random, saved: Saved) -> None:
    other = save(saved.folder / "other", IDENTITY, _graph(seed=chance.randrange(2, 99)), 7)[0]
    (saved.folder / "other" / other).replace(saved.data)
    (saved.folder / "other" / other).with_suffix(".json").replace(saved.description)


def _remove(chance: random.Random, saved: Saved) -> None:
    chance.choice([saved.data, saved.description]).unlink()


@pytest.mark.parametrize("damage", [_cut, _flip, _grow, _noise, _craft, _craft_both, _lie, _swap, _swap_both, _remove])
def test_no_damaged_crafted_or_foreign_file_is_taken(
    saved: Saved, damage: Callable[[random.Random, Saved], None]
) -> None:
    for _ in range(10):
        seed = random.randrange(2**32)
        damage(random.Random(seed), saved)
        if (saved.data.exists() and saved.data.read_bytes()) == saved.whole[0] and damage in (_craft, _craft_both):
            continue  # the number that was there already
        with pytest.raises(Unfit):
            saved.load()
            pytest.fail(f"{damage.__name__}, seed {seed}")
        saved.restore()
    assert saved.load()[1] == 7


@pytest.mark.parametrize(
    "identity",
    [
        IndexIdentity(key="other", dim=DIM, embedder_id="e1"),
        IndexIdentity(key="key", dim=DIM * 2, embedder_id="e1"),
        IndexIdentity(key="key", dim=DIM, embedder_id="e2"),
    ],
)
def test_a_file_of_another_index_is_not_taken(saved: Saved, identity: IndexIdentity) -> None:
    with pytest.raises(Unfit, match="another index"):
        load(saved.folder, saved.file, saved.sha256, identity)


def test_a_file_outside_the_folder_is_not_looked_for(saved: Saved) -> None:
    assert load(saved.folder, f"../../{saved.file}", saved.sha256, IDENTITY)[1] == 7


def test_a_full_disk_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    save(tmp_path, IDENTITY, _graph(), 1)
    before = sorted(tmp_path.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="whole file") as caught:
            save(tmp_path, IDENTITY, _graph(), 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno != errno.ENOENT
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "index"
    file, sha256 = save(folder, IDENTITY, _graph(), 1)
    assert load(folder, file, sha256, IDENTITY)[0].live == 391
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_labels_far_apart_are_kept(tmp_path: Path) -> None:
    graph = Graph(DIM, 2)
    graph.add(np.array([3, 70_000], dtype=np.int64), points(2), 1)
    file, sha256 = save(tmp_path, IDENTITY, graph, 1)
    assert load(tmp_path, file, sha256, IDENTITY)[0].max_label == 70_000
