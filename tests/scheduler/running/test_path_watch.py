"""Jobs that are started by files: once a state, after it stayed still, also across restarts."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
import trio

from agentgw_daemon.scheduler.planning.settling import Settled, Settling
from agentgw_daemon.scheduler.running.path_watch import PathWatch, files_of
from tests.patience import PATIENCE_S
from tests.polling import pause, until
from tests.scheduler.fakeclock import FakeClock
from tests.scheduler.running.office import START, Office, office

pytestmark = pytest.mark.anyio


def entry(path: Path) -> str:
    return f"name: a, message: look at it, on: {path}, settle_s: 0"


async def turn_of(made: Office, count: int) -> list[str]:
    """Names of the files that the turn of that number, from 1, is about."""
    while len(made.turns.started) < count:
        await pause()
        await made.look()
    (file,) = made.turns.started[count - 1].files
    return file.text.splitlines()


async def watched(made: Office) -> None:
    """Returns when the watch has looked once."""
    await made.look()
    await until(lambda: made.scheduler.watches.has_looked("a"))


async def test_what_is_there_already_is_no_change_and_each_state_after_that_has_one_run(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "old.txt").write_text("old")
    async with office(tmp_path, entry(inbox)) as made:
        await watched(made)
        (inbox / "new.txt").write_text("new")
        (inbox / ".hidden").write_text("no")
        assert await turn_of(made, 1) == [f"{inbox}/new.txt"]
        os.rename(inbox / "new.txt", inbox / "renamed.txt")  # the same state under another name
        (inbox / "old.txt").write_text("older")
        assert await turn_of(made, 2) == [f"{inbox}/old.txt"]
        await made.all_ended()
        assert [run.reason for run in await made.runs()] == ["changed", "changed"]


@pytest.mark.parametrize("time_ns", [2**63 + 5, -5, 0])
async def test_a_file_of_any_time_has_one_run(time_ns: int, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    clock = FakeClock(START)
    async with office(tmp_path, entry(inbox), clock=clock) as made:
        await watched(made)
        (tmp_path / "a.txt").write_text("a")
        os.utime(tmp_path / "a.txt", ns=(time_ns, time_ns))
        os.rename(tmp_path / "a.txt", inbox / "a.txt")
        assert await turn_of(made, 1) == [f"{inbox}/a.txt"]
        await made.all_ended()
    clock.go_on(60)
    async with office(tmp_path, clock=clock) as made:
        await watched(made)
        await made.all_ended()
        assert len(await made.runs()) == 1


async def test_what_changed_while_nobody_looked_has_its_run_after_the_start_and_no_second(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    clock = FakeClock(START)
    async with office(tmp_path, entry(inbox), clock=clock) as made:
        await watched(made)
        (inbox / "a.txt").write_text("a")
        await turn_of(made, 1)
        await made.all_ended()
    (inbox / "b.txt").write_text("b")
    clock.go_on(60)
    async with office(tmp_path, clock=clock) as made:
        assert await turn_of(made, 1) == [f"{inbox}/b.txt"]
        await made.all_ended()
        assert len(await made.runs()) == 2


async def test_what_changed_while_a_job_was_off_is_none_of_its_own(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    async with office(tmp_path, entry(inbox)) as made:
        await watched(made)
        made.write(f"{entry(inbox)}, enabled: false")
        await made.look()
        assert not made.scheduler.watches.has_looked("a")
        (inbox / "a.txt").write_text("a")
        made.write(entry(inbox))
        await watched(made)
        (inbox / "b.txt").write_text("b")
        assert await turn_of(made, 1) == [f"{inbox}/b.txt"]


async def test_a_folder_that_comes_later_is_watched_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentgw_daemon.scheduler.running.path_watch._FILE_EVERY_S", 0.01)
    file = tmp_path / "report.txt"
    async with office(tmp_path, entry(file)) as made:
        await watched(made)
        file.write_text("ready")
        assert await turn_of(made, 1) == [str(file)]


async def test_a_folder_that_is_made_anew_is_watched_like_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentgw_daemon.scheduler.running.path_watch._TRY_AGAIN_S", 0.01)
    monkeypatch.setattr("agentgw_daemon.knowledge.ingest.folder_changes._IN_PLACE_EVERY_S", 0.01)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with trio.fail_after(PATIENCE_S):
        async with office(tmp_path, entry(inbox)) as made:
            await watched(made)
            for count, name in enumerate(("a", "b", "c"), 1):
                if name != "c":
                    inbox.rmdir() if count == 1 else shutil.rmtree(inbox)
                    inbox.mkdir()
                (inbox / name).write_text(name)
                assert await turn_of(made, count) == [f"{inbox}/{name}"]


def test_links_pipes_and_hidden_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    for folder in (".git", "sub"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "b").write_text("b")
    found = files_of(str(tmp_path))
    assert found is not None
    assert sorted(found) == [f"{tmp_path}/a", f"{tmp_path}/sub/b"]
    assert files_of(str(tmp_path / "none")) == {}


def test_too_many_files_are_no_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentgw_daemon.scheduler.running.path_watch.MOST_FILES", 1)
    for name in "ab":
        (tmp_path / name).write_text(name)
    assert files_of(str(tmp_path)) is None


def test_a_tree_of_nothing_but_folders_has_an_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentgw_daemon.scheduler.running.path_watch.MOST_NAMES", 5)
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    assert files_of(str(tmp_path)) == {}
    (tmp_path / "a" / "b" / "c" / "d" / "e").mkdir(parents=True)
    assert files_of(str(tmp_path)) is None


async def test_the_system_is_not_asked_to_tell_of_what_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def asked(folder: str) -> None:
        raise AssertionError(folder)

    monkeypatch.setattr("agentgw_daemon.scheduler.running.path_watch.MOST_NAMES", 1)
    monkeypatch.setattr("agentgw_daemon.scheduler.running.path_watch.open_folder_changes", asked)
    (tmp_path / "a").mkdir()

    async def tell(_: Settled) -> None:
        raise AssertionError("nothing has settled")

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(PathWatch(str(tmp_path), Settling(10.0, None), tell).run)
            while "too many" not in caplog.text:
                await pause()
            nursery.cancel_scope.cancel()


async def test_a_stop_does_not_wait_for_a_large_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(path: str) -> None:
        looking.set()
        goes_on.wait(30)
        ended.set()

    monkeypatch.setattr("agentgw_daemon.scheduler.running.path_watch.files_of", slow)

    async def tell(_: Settled) -> None:
        raise AssertionError("nothing has settled")

    try:
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(PathWatch(str(tmp_path), Settling(10.0, None), tell).run)
                while not looking.is_set():
                    await pause()
                nursery.cancel_scope.cancel()
        assert not ended.is_set()
    finally:
        goes_on.set()
