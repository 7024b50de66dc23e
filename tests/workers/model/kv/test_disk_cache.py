"""The store of states: a random history against a dictionary, and each thing that can go wrong with a folder."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentgw_daemon.workers.model.kv.disk_cache import DiskPrefixCache, RestoredState
from agentgw_daemon.workers.protocol.kv_files import segment, state_file, state_folder

PLENTY = 1 << 30
TIMEOUT_S = 20.0
KEY = "a model"
Text = tuple[int, ...]


@contextmanager
def opened(folder: Path, *, key: str = KEY, limit: int = PLENTY, queue: int = PLENTY) -> Iterator[DiskPrefixCache]:
    states = DiskPrefixCache.open(folder, model_key=key, limit_bytes=limit, queue_bytes=queue)
    try:
        yield states
    finally:
        assert states.close(TIMEOUT_S)


def save(
    states: DiskPrefixCache, text: Text | list[int], cache_scope: str = "one", payload: bytes | None = None
) -> bool:
    """Saves as a caller does after a turn, waiting for the disk."""
    start = states.covered(text)
    taken = states.save(cache_scope, text, start, state_of(tuple(text), start) if payload is None else payload)
    assert states.flush(TIMEOUT_S)
    return taken


def state_of(text: Text, start: int) -> bytes:
    return f"the state of {text} from {start}".encode()


def load(states: DiskPrefixCache, text: Text | list[int]) -> list[RestoredState]:
    return list(states.load(text, len(text)))


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.kv"), key=lambda path: -path.stat().st_mtime_ns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kv"


# Two tokens and short texts: they start alike all the time.
TEXT = st.lists(st.integers(0, 1), max_size=8).map(tuple)
STEP = st.tuples(
    st.sampled_from(["save", "save", "save", "match", "load", "load", "restart", "damage", "remove", "forget"]),
    TEXT,
    st.sampled_from(["a", "b"]),
    st.integers(0, 99),
)


def common(one: Text, other: Text) -> int:
    return max(length for length in range(len(one) + 1) if one[:length] == other[:length])


class History:
    """Model of the cache: text to where its segment starts and whose it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.saved: dict[Text, tuple[int, str]] = {}
        self.broken: set[Text] = set()
        self.states = DiskPrefixCache.open(folder, model_key=KEY, limit_bytes=PLENTY)

    def close(self) -> None:
        assert self.states.close(TIMEOUT_S)

    def path(self, text: Text) -> Path:
        cache_scope = self.saved[text][1]
        return state_folder.model_folder(self.folder, KEY) / state_folder.file_name(cache_scope, self.digest(text))

    def digest(self, text: Text) -> bytes:
        if not text:
            return segment.ROOT
        start, _ = self.saved[text]
        return segment.digest(self.digest(text[:start]), segment.pack(text[start:]))

    def is_whole(self, text: Text) -> bool:
        return not text or (text not in self.broken and self.is_whole(text[: self.saved[text][0]]))

    def save(self, text: Text, cache_scope: str, choice: int) -> None:
        covered = self.states.covered(text)
        wholes = {0} | {len(one) for one in self.saved if text[: len(one)] == one}
        assert covered == max(wholes)
        # Mostly where it should start, sometimes where it can or cannot.
        start = covered if choice % 3 else choice % 9
        taken = self.states.save(cache_scope, text, start, state_of(text, start))
        assert taken == (text in self.saved or (start in wholes and start < len(text)))
        if taken and text not in self.saved:
            self.saved[text] = (start, cache_scope)
            if not self.is_whole(text):
                # A file after one that is gone is of no use: once it is written, the store knows.
                assert self.states.flush(TIMEOUT_S)
                self.lose({one for one in self.chain(text) if not self.path(one).exists()})

    def match(self, prompt: Text, choice: int) -> int:
        most = choice % 10
        matched = self.states.match(prompt, most)
        assert matched == max((common(one, prompt[:most]) for one in self.saved), default=0)
        return most

    def load(self, prompt: Text, choice: int) -> None:
        most = self.match(prompt, choice)
        matched = self.states.match(prompt, most)
        end = 0
        for restored in self.states.load(prompt, most):
            assert restored.start == end
            end = restored.end
            known = [
                one for one in self.saved if len(one) == end and one[:most][:matched] == prompt[: min(end, matched)]
            ]
            assert any(restored.payload == state_of(one, restored.start) and self.is_whole(one) for one in known)
        assert self.states.flush(TIMEOUT_S)
        if end < matched:
            # It has stopped at something broken, which it knows from now on.
            gone = {text for text in self.saved if not self.path(text).exists()}
            assert any(not self.is_whole(text) for text in gone)
            self.lose(gone)

    def lose(self, gone: set[Text]) -> None:
        gone = {text for text in self.saved if any(one in gone for one in self.chain(text))}
        assert all(not self.is_whole(text) for text in gone)
        self.broken -= gone
        for text in gone:
            del self.saved[text]

    def chain(self, text: Text) -> Iterator[Text]:
        while text:
            yield text
            text = text[: self.saved[text][0]]

    def spoil(self, choice: int, how: Callable[[Path], object]) -> None:
        assert self.states.flush(TIMEOUT_S)
        if self.saved:
            text = sorted(self.saved)[choice % len(self.saved)]
            if text not in self.broken:
                how(self.path(text))
                self.broken.add(text)

    def forget(self, cache_scope: str) -> None:
        assert self.states.flush(TIMEOUT_S)
        state_folder.forget(self.folder, cache_scope)
        (self.folder / f"{cache_scope}.forgotten").unlink()  # or nothing of it would be saved for an hour
        self.broken |= {text for text, (_, whose) in self.saved.items() if whose == cache_scope}
        self.restart()

    def restart(self) -> None:
        self.close()
        self.lose({text for text in self.saved if not self.is_whole(text)})
        self.states = DiskPrefixCache.open(self.folder, model_key=KEY, limit_bytes=PLENTY)
        assert {path.name for path in files(self.folder)} == {self.path(text).name for text in self.saved}


def flip_a_token(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[segment.FIXED_BYTES] ^= 1
    path.write_bytes(damaged)


@settings(max_examples=60, deadline=None)
@example([("save", (0,), "a", 0), ("remove", (), "a", 0), ("save", (0, 0), "a", 1), ("match", (0,), "a", 1)])
@given(st.lists(STEP, max_size=25))
def test_a_random_history_restores_what_a_dictionary_remembers(steps: list[tuple[str, Text, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as made:
        history = History(Path(made) / "kv")
        for what, text, cache_scope, choice in steps:
            match what:
                case "save":
                    history.save(text, cache_scope, choice)
                case "match":
                    history.match(text, choice)
                case "load":
                    history.load(text, choice)
                case "restart":
                    history.restart()
                case "damage":
                    history.spoil(choice, flip_a_token)
                case "remove":
                    history.spoil(choice, Path.unlink)
                case "forget":
                    history.forget(cache_scope)
        history.restart()
        history.close()


def test_a_turn_writes_its_own_tokens_only(folder: Path) -> None:
    with opened(folder) as states:
        save(states, [1, 2, 3], payload=b"first")
        save(states, [1, 2, 3, 4, 5], payload=b"second")
        assert states.covered([1, 2, 3, 4, 5, 6]) == 5
    with opened(folder) as states:
        assert states.match([1, 2, 3, 4, 9], 5) == 4
        assert load(states, [1, 2, 3, 4, 9]) == [
            RestoredState(start=0, end=3, payload=b"first"), RestoredState(start=3, end=5, payload=b"second"),
        ]  # fmt: skip
        assert states.match([1, 2, 3, 4, 9], 3) == 3
        assert [one.end for one in states.load([1, 2, 3, 4, 9], 3)] == [3]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that writes nothing until it is told to."""
    turning = threading.Event()
    write = state_file.write

    def write_later(path: Path, header: segment.SegmentHeader, payload: bytes) -> None:
        assert turning.wait(TIMEOUT_S)
        write(path, header, payload)

    monkeypatch.setattr(state_file, "write", write_later)
    yield turning
    turning.set()


def test_what_waits_for_the_disk_can_be_restored(folder: Path, disk: threading.Event) -> None:
    with opened(folder) as states:
        assert states.save("one", [1, 2], 0, b"x")
        assert states.covered([1, 2, 3]) == 2
        assert load(states, [1, 2]) == [RestoredState(start=0, end=2, payload=b"x")]
        assert not states.flush(0)
        disk.set()


def test_a_full_queue_takes_nothing_until_the_disk_has_caught_up(folder: Path, disk: threading.Event) -> None:
    with opened(folder, queue=10) as states:
        assert states.save("one", [1], 0, bytes(6))
        assert not states.save("one", [2], 0, bytes(6))
        assert states.save("one", [3], 0, bytes(4))
        assert states.covered([2]) == 0
        disk.set()
        assert states.flush(TIMEOUT_S)
        assert states.save("one", [2], 0, bytes(6))


def test_closing_finishes_what_is_queued(folder: Path, disk: threading.Event) -> None:
    with opened(folder) as states:
        assert states.save("one", [1], 0, b"x")
        assert not states.close(0)
        assert not states.save("one", [2], 0, b"x")
        disk.set()
    with opened(folder) as states:
        assert states.match([1], 1) == 1


def test_an_owner_forgotten_while_its_state_waits_for_the_disk_leaves_nothing(
    folder: Path, disk: threading.Event
) -> None:
    with opened(folder) as states:
        assert states.save("one", [1], 0, b"x")
        assert states.save("two", [1, 2], 1, b"x")
        assert state_folder.forget(folder, "one") == 0
        disk.set()
        assert states.flush(TIMEOUT_S)
        assert states.match([1], 1) == 0
        assert files(folder) == []


@pytest.mark.parametrize("cache_scope", ["", "a/b", "..", "a.b", "ä", "a" * 65, "a\n"])
def test_an_impossible_cache_scope_is_a_bug_of_the_caller(folder: Path, cache_scope: str) -> None:
    with opened(folder) as states, pytest.raises(ValueError, match="cache scope"):
        states.save(cache_scope, [1], 0, b"x")


def test_another_model_finds_nothing(folder: Path) -> None:
    with opened(folder) as states:
        save(states, [1, 2])
    with opened(folder, key="another") as states:
        assert states.match([1, 2], 2) == 0


def flip(at: int) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        damaged = bytearray(path.read_bytes())
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)

    return damage


def replace(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


DAMAGE: dict[str, Callable[[Path], object]] = {
    "magic": flip(0), "version": flip(8), "count": flip(12), "start": flip(16), "payload length": flip(20),
    "payload checksum": flip(28), "parent": flip(32), "digest": flip(48), "checksum": flip(64), "token": flip(68),
    "payload": flip(-1),
    "empty": lambda path: os.truncate(path, 0),
    "cut in the header": lambda path: os.truncate(path, segment.FIXED_BYTES - 1),
    "cut in the tokens": lambda path: os.truncate(path, segment.FIXED_BYTES + 1),
    "cut in the payload": lambda path: os.truncate(path, path.stat().st_size - 1),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "huge": lambda path: os.truncate(path, 1 << 40),
    "foreign": lambda path: path.write_bytes(b"GGUF" * 100),
    "fifo": replace(os.mkfifo),
    "link": replace(lambda path: path.symlink_to("/etc/hostname")),
    "link to nothing": replace(lambda path: path.symlink_to("/nowhere")),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_ends_what_is_loaded_and_is_removed(folder: Path, damage: Callable[[Path], object]) -> None:
    with opened(folder) as states:
        for text in ([1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5]):
            save(states, text)
        first, second, third = files(folder)
        damage(second)
        assert [one.end for one in load(states, [1, 2, 3, 4, 5])] == [2]
        assert states.match([1, 2, 3, 4, 5], 5) == 2
        assert files(folder) == [first]
        assert not second.is_symlink()
        # As if nothing had been there.
        assert save(states, [1, 2, 3, 4])
        assert [one.end for one in load(states, [1, 2, 3, 4, 5])] == [2, 4]
    assert not third.exists()


@pytest.mark.parametrize("damage", [one for name, one in DAMAGE.items() if name != "payload"])
def test_a_start_removes_what_is_no_segment_and_what_followed_it(
    folder: Path, damage: Callable[[Path], object]
) -> None:
    with opened(folder) as states:
        for text in ([1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5]):
            save(states, text)
        first, second, _ = files(folder)
    damage(second)
    with opened(folder) as states:
        assert states.match([1, 2, 3, 4, 5], 5) == 2
        assert files(folder) == [first]


def test_one_segment_under_the_name_of_another_is_not_taken(folder: Path) -> None:
    with opened(folder) as states:
        save(states, [1, 2])
        save(states, [7, 8])
        newer, older = files(folder)
        shutil.copy(newer, older)
        assert load(states, [1, 2]) == []
        shutil.copy(newer, older)
    with opened(folder) as states:
        assert not older.exists()
        assert (states.match([1, 2], 2), states.match([7, 8], 2)) == (0, 2)


def test_a_directory_in_a_files_place_is_left_alone(folder: Path) -> None:
    with opened(folder) as states:
        save(states, [1, 2])
        (file,) = files(folder)
        file.unlink()
        (file / "inside").mkdir(parents=True)
        assert load(states, [1, 2]) == []
    with opened(folder) as states:
        assert states.match([1, 2], 2) == 0
        save(states, [1, 2])
        assert states.match([1, 2], 2) == 0
        save(states, [3])
        assert load(states, [3])
    assert (file / "inside").is_dir()


def test_too_many_open_files_remove_nothing(folder: Path) -> None:
    with opened(folder) as states:
        save(states, [1, 2])
    (file,) = files(folder)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        assert state_file.read_header(file) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert state_file.read_header(file) is not None


def test_files_and_folders_are_ours_alone_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        with opened(folder / "deep") as states:
            save(states, [1])
        state_folder.forget(folder / "deep", "other")
    finally:
        os.umask(before)
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_full_disk_is_said_once_and_used_again_when_there_is_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with opened(folder) as states:
        monkeypatch.setattr(state_file, "KEEP_FREE_BYTES", 1 << 62)
        assert save(states, [1])
        assert save(states, [2])
        assert states.covered([1]) == 0
        assert capfd.readouterr().err.count("No space left") == 1
        monkeypatch.undo()
        assert save(states, [1])
        assert load(states, [1])


def test_a_write_that_fails_half_way_leaves_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with opened(folder) as states:
        save(states, [1])
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            save(states, [1, 2], payload=bytes(5000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert "too large" in capfd.readouterr().err
        assert states.covered([1, 2]) == 1
        assert len(list(folder.glob("*/*"))) == 1


def test_what_follows_a_state_that_could_not_be_written_is_not_written_either(
    folder: Path, disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder) as states:
        assert states.save("one", [1], 0, b"x")
        assert states.save("one", [1, 2], 1, b"x")
        monkeypatch.setattr(state_file, "KEEP_FREE_BYTES", 1 << 62)
        disk.set()
        assert states.flush(TIMEOUT_S)
        assert states.covered([1, 2]) == 0
        assert files(folder) == []
        monkeypatch.undo()
        assert states.save("one", [1, 2], 0, b"x")


def test_a_folder_that_cannot_be_made_is_only_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with opened(tmp_path / "file" / "kv") as states:
        assert save(states, [1])
        assert states.covered([1]) == 0
    assert "cannot be saved" in capfd.readouterr().err


def test_a_folder_deleted_while_running_is_made_again(folder: Path) -> None:
    with opened(folder) as states:
        save(states, [1])
        save(states, [1, 2])
        shutil.rmtree(folder)
        # It finds that what it follows is gone, and the next turn saves all of it.
        save(states, [1, 2, 3])
        assert states.covered([1, 2, 3]) == 0
        save(states, [1, 2, 3])
        assert [one.end for one in load(states, [1, 2, 3])] == [3]


SIZE = 1000 + segment.FIXED_BYTES + segment.TOKEN_BYTES


def test_what_was_used_longest_ago_goes_first(folder: Path) -> None:
    with opened(folder, limit=3 * SIZE) as states:
        for token in (1, 2, 3):
            save(states, [token], payload=bytes(1000))
        assert load(states, [1])
        save(states, [4], payload=bytes(1000))
        assert [token for token in (1, 2, 3, 4) if states.match([token], 1)] == [1, 3, 4]
    with opened(folder) as states:
        assert [token for token in (1, 2, 3, 4) if states.match([token], 1)] == [1, 3, 4]


def test_the_end_of_a_chain_goes_before_its_start(folder: Path) -> None:
    with opened(folder, limit=3 * SIZE) as states:
        for text in ([1], [1, 2], [1, 2, 3]):
            save(states, text, payload=bytes(1000))
        save(states, [9], payload=bytes(1000))
        assert states.match([1, 2, 3], 3) == 2
        assert load(states, [1, 2])
        save(states, [8], payload=bytes(1000))
        assert (states.match([1, 2, 3], 3), states.match([9], 1)) == (2, 0)


def test_what_cannot_fit_the_bound_is_not_saved(folder: Path) -> None:
    with opened(folder, limit=2 * SIZE) as states:
        assert not save(states, [1], payload=bytes(3000))
        assert save(states, [1], payload=bytes(1000))
        assert save(states, [1, 2], payload=bytes(1000))
        # It would push out the chain that it is the end of.
        assert not save(states, [1, 2, 3], payload=bytes(1000))


def test_the_bound_is_all_models_together(folder: Path) -> None:
    with opened(folder, limit=2 * SIZE) as states, opened(folder, key="another", limit=2 * SIZE) as others:
        save(states, [1], payload=bytes(1000))
        save(others, [1], payload=bytes(1000))
        save(others, [2], payload=bytes(1000))
        assert load(states, [1]) == []
        assert load(others, [1])
        assert state_folder.usage(folder) == (2, 2 * SIZE)


def test_a_lower_bound_holds_from_the_start(folder: Path) -> None:
    with opened(folder) as states:
        for token in (1, 2, 3):
            save(states, [token], payload=bytes(1000))
    with opened(folder, limit=SIZE):
        pass
    assert len(files(folder)) == 1
    with opened(folder, limit=0) as states:
        assert not save(states, [5])
        assert states.match([3], 1) == 0
    assert files(folder) == []


def test_no_more_files_are_kept_than_a_start_may_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_folder, "MAX_FILES", 2)
    with opened(folder) as states:
        for token in (1, 2, 3):
            save(states, [token])
        assert [token for token in (1, 2, 3) if states.match([token], 1)] == [2, 3]


def test_leftovers_of_a_dead_worker_are_removed_after_a_while(folder: Path) -> None:
    with opened(folder) as states:
        save(states, [1])
        (file,) = files(folder)
        old, new = (file.with_name(f"{file.name}.{pid}.tmp") for pid in (1, 2))
        old.write_bytes(b"x")
        new.write_bytes(b"x")
        os.utime(old, (0, 0))
        save(states, [2])
        assert not old.exists()
        assert new.exists()


def test_two_workers_may_share_a_folder(folder: Path) -> None:
    with opened(folder) as one, opened(folder) as other:
        save(one, [1, 2])
        save(other, [1, 2])
        save(one, [1, 2, 3])
        save(other, [1, 2, 4], cache_scope="other")
        assert len(load(one, [1, 2, 3])) == len(load(other, [1, 2, 4])) == 2
        assert state_folder.forget(folder, "one") == 2
        assert load(one, [1, 2, 3]) == load(other, [1, 2, 4]) == []
        assert files(folder) == []
