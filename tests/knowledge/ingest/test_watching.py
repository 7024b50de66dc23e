"""Folders that are followed: over real changes on a real disk, a real database and a fake worker."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from agentgw.protocol.calls.documents import DocumentIngestParams, IngestResult
from agentgw.protocol.errors import InvalidParams, ModelUnavailable, NotFound, Overloaded, StorageUnavailable
from agentgw_daemon.knowledge.ingest import folder_changes, watching
from agentgw_daemon.knowledge.ingest.folder_changes import matters, open_folder_changes
from agentgw_daemon.knowledge.ingest.watching import Followed, Watching
from agentgw_daemon.storage.documents.documents import KnownDocument
from agentgw_daemon.storage.documents.watched import Watched
from agentgw_daemon.workers.protocol import retrieval as wire
from tests.knowledge.live import LiveIngest, fill, live_ingest
from tests.patience import PATIENCE_S
from tests.retrieval.fakeworker import fake_embedder

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_changes, "_QUIET_MS", 20)
    monkeypatch.setattr(watching, "_TRY_AGAIN_S", 0.05)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    fill(tmp_path / "notes", {"a.txt": "apples", "b.txt": "bread"})
    return tmp_path / "notes"


@asynccontextmanager
async def following(made: LiveIngest) -> AsyncIterator[Watching]:
    """Watching in a nursery that ends with the context, as the daemon's does."""
    async with trio.open_nursery() as nursery:
        yield Watching(made.database, made.ingest, nursery)
        nursery.cancel_scope.cancel()


def rounds(count: int) -> Callable[[Followed], bool]:
    return lambda followed: followed.rounds >= count and followed.state == "following"


async def until_texts(made: LiveIngest, followed: Followed, expected: dict[str, list[str]]) -> None:
    """Returns when this is what is stored, looking after each round."""
    while await made.texts() != expected:
        await followed.wait_for(rounds(followed.rounds + 1))


async def test_what_changes_is_stored_and_what_goes_is_removed(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        followed = await all_folders.follow(Watched(path=str(notes), collection="default"))
        await followed.wait_for(rounds(1))
        a, b, c = (f"{notes}/{name}" for name in ("a.txt", "b.txt", "sub/c.txt"))
        assert await made.texts() == {a: ["apples"], b: ["bread"]}
        fill(notes, {"sub/c.txt": "cheese"})
        await until_texts(made, followed, {a: ["apples"], b: ["bread"], c: ["cheese"]})
        (notes / "a.txt").write_text("apricots")
        await until_texts(made, followed, {a: ["apricots"], b: ["bread"], c: ["cheese"]})
        (notes / "b.txt").rename(notes / "sub" / "b.txt")
        await until_texts(made, followed, {a: ["apricots"], f"{notes}/sub/b.txt": ["bread"], c: ["cheese"]})
        shutil.rmtree(notes / "sub")
        await until_texts(made, followed, {a: ["apricots"]})
        [shown] = all_folders.listing()
        assert (shown.path, shown.state, shown.error) == (str(notes), "following", None)
        assert shown.updated_at is not None


async def test_a_daemon_that_follows_a_folder_is_needed(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        await all_folders.resume()
        assert not all_folders.may_follow
        await all_folders.follow(Watched(path=str(notes), collection="default"))
        assert all_folders.may_follow
        await all_folders.unfollow(str(notes))
        assert not all_folders.may_follow


async def test_a_followed_folder_is_followed_by_the_next_daemon(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        asked = Watched(path=str(notes), collection="work", tags=("x",), exclude=("b.*",), chunk_size=32)
        await (await all_folders.follow(asked)).wait_for(rounds(1))
    (notes / "a.txt").write_text("apricots")
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        await all_folders.resume()
        [followed] = all_folders._followed.values()
        await followed.wait_for(rounds(1))
        assert await made.texts("work") == {f"{notes}/a.txt": ["apricots"]}
        [shown] = all_folders.listing()
        assert (shown.collection, shown.tags, shown.exclude, shown.chunk_size) == ("work", ("x",), ("b.*",), 32)


async def test_who_asks_before_all_is_taken_up_hears_of_every_folder(tmp_path: Path, notes: Path) -> None:
    asked = [Watched(path=str(notes), collection=name) for name in ("one", "two", "three")]
    async with live_ingest(tmp_path) as made:
        for watched in asked:
            await made.database.watched.put(watched)
        async with following(made) as all_folders:
            await all_folders.unfollow(str(notes), "two")
            await all_folders.resume()
            assert [one.collection for one in all_folders.listing()] == ["one", "three"]
        async with following(made) as all_folders:
            await all_folders.follow(replace(asked[0], tags=("x",)))
            await all_folders.take_up()
            assert [one.tags for one in all_folders.listing()] == [("x",), ()]
        async with following(made) as all_folders, trio.open_nursery() as nursery:
            nursery.start_soon(all_folders.resume)
            nursery.start_soon(all_folders.resume)
            await all_folders.take_up()
            assert len(all_folders.listing()) == 2


async def test_a_folder_that_vanishes_keeps_its_documents_and_is_taken_up_again(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        followed = await all_folders.follow(Watched(path=str(notes), collection="default"))
        await followed.wait_for(rounds(1))
        notes.rename(tmp_path / "away")
        await followed.wait_for(lambda one: one.state == "missing")
        assert len(await made.texts()) == 2
        (tmp_path / "away" / "b.txt").unlink()
        (tmp_path / "away").rename(notes)
        await until_texts(made, followed, {f"{notes}/a.txt": ["apples"]})


async def test_an_empty_folder_is_taken_for_a_volume_that_is_not_mounted(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        await (await all_folders.follow(Watched(path=str(notes), collection="default"))).wait_for(rounds(1))
        for name in ("a.txt", "b.txt"):
            (notes / name).rename(tmp_path / name)
        [followed] = all_folders._followed.values()
        await followed.wait_for(lambda one: one.state == "missing")
        assert len(await made.texts()) == 2
        fill(notes, {"c.txt": "cheese"})
        await until_texts(made, followed, {f"{notes}/c.txt": ["cheese"]})


async def test_without_an_embedder_it_is_tried_again(tmp_path: Path, notes: Path) -> None:
    there = False

    async def resolve() -> wire.Embedder:
        if not there:
            raise ModelUnavailable("there is no embedder")
        return await fake_embedder()

    async with live_ingest(tmp_path, resolve=resolve) as made, following(made) as all_folders:
        followed = await all_folders.follow(Watched(path=str(notes), collection="default"))
        await followed.wait_for(lambda one: one.state == "failing")
        assert followed.error == "there is no embedder"
        there = True
        await followed.wait_for(rounds(1))
        assert len(await made.texts()) == 2


async def test_where_the_system_tells_nothing_we_look_by_ourselves(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(folder: str) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(folder_changes, "_watcher", none)
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        followed = await all_folders.follow(Watched(path=str(notes), collection="default"))
        await followed.wait_for(rounds(1))
        fill(notes, {"c.txt": "cheese"})
        texts = {"a": "apples", "b": "bread", "c": "cheese"}
        await until_texts(made, followed, {f"{notes}/{name}.txt": [text] for name, text in texts.items()})


async def test_a_folder_whose_name_is_not_utf8_is_followed(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    fill(odd, {"a.txt": "apples"})
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        followed = await all_folders.follow(Watched(path=str(odd), collection="default"))
        await followed.wait_for(rounds(1))
        assert list((await made.texts()).values()) == [["apples"]]
        fill(odd, {"b.txt": "bread"})
        while len(await made.texts()) < 2:
            await followed.wait_for(rounds(followed.rounds + 1))


async def test_a_folder_that_breaks_ends_nothing_but_its_own_look(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path / "other", {"c.txt": "cheese"})
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        run, broken = made.ingest.run, True

        async def break_for_notes(params: DocumentIngestParams) -> IngestResult:
            if broken and params.paths == (str(notes),):
                raise ValueError("a mistake of ours")
            return await run(params)

        monkeypatch.setattr(made.ingest, "run", break_for_notes)
        bad = await all_folders.follow(Watched(path=str(notes), collection="default"))
        good = await all_folders.follow(Watched(path=str(tmp_path / "other"), collection="default"))
        await bad.wait_for(lambda one: one.state == "failing")
        await good.wait_for(rounds(1))
        assert bad.error == "an internal error; see `agentgw logs`"
        assert "a mistake of ours" in caplog.text
        broken = False
        await bad.wait_for(rounds(1))
        assert len(await made.texts()) == 3


async def test_a_database_that_cannot_answer_now_is_asked_again(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        await made.database.watched.put(Watched(path=str(notes), collection="default"))
        all_watched, below, failures = made.database.watched.all, made.database.documents.below, iter(range(2))

        async def fail_first() -> tuple[Watched, ...]:
            if next(failures, None) is not None:
                raise StorageUnavailable("the database cannot be used now")
            return await all_watched()

        async def fail(collection: str, folder: str) -> dict[str, KnownDocument]:
            raise StorageUnavailable("the database cannot be used now")

        monkeypatch.setattr(made.database.watched, "all", fail_first)
        assert all_folders.may_follow, "nobody knows so far"
        await all_folders.resume()
        [followed] = all_folders._followed.values()
        await followed.wait_for(rounds(1))
        monkeypatch.setattr(made.database.documents, "below", fail)
        for name in ("a.txt", "b.txt"):
            (notes / name).unlink()
        await followed.wait_for(lambda one: one.state == "failing")
        assert followed.error == "the database cannot be used now"
        monkeypatch.setattr(made.database.documents, "below", below)
        await followed.wait_for(lambda one: one.state == "missing")


async def test_a_folder_that_is_exchanged_for_a_link_keeps_its_documents_and_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "in" / "notes", {"a.txt": "apples"})
    fill(tmp_path / "away", {"b.txt": "bread"})
    notes = tmp_path / "in" / "notes"
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        followed = await all_folders.follow(Watched(path=str(notes), collection="default"))
        await followed.wait_for(rounds(1))
        notes.rename(tmp_path / "notes")
        notes.symlink_to(tmp_path / "away")
        await followed.wait_for(lambda one: one.state == "failing")
        assert followed.error == f"is a link that leads out, to {tmp_path}/away; name that itself"
        assert await made.texts() == {f"{notes}/a.txt": ["apples"]}


async def test_a_folder_that_is_let_go_is_followed_no_more(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        for collection in ("one", "two", "three"):
            await all_folders.follow(Watched(path=str(notes), collection=collection))
        await all_folders.unfollow(str(notes), "two")
        assert [one.collection for one in all_folders.listing()] == ["one", "three"]
        await all_folders.unfollow(f"{notes}/")
        assert all_folders.listing() == ()
        assert await made.database.watched.all() == ()
        with pytest.raises(NotFound, match="is not followed"):
            await all_folders.unfollow(str(notes))


async def test_only_folders_are_followed_and_not_too_many(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST_FOLDERS", 1)
    async with live_ingest(tmp_path) as made, following(made) as all_folders:
        for params in (
            DocumentIngestParams(paths=(str(notes / "a.txt"),)),
            DocumentIngestParams(paths=(str(notes / "none"),)),
            DocumentIngestParams(text="x", source="y"),
        ):
            with pytest.raises(InvalidParams):
                await all_folders.folders_of(params)
        [folder] = await all_folders.folders_of(DocumentIngestParams(paths=(str(notes),)))
        await all_folders.follow(folder)
        assert await all_folders.folders_of(DocumentIngestParams(paths=(str(notes),))) == (folder,)
        with pytest.raises(Overloaded):
            await all_folders.folders_of(DocumentIngestParams(paths=(str(tmp_path),)))


async def test_changes_between_two_waits_are_told(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_folder_changes(str(tmp_path)) as told:
            fill(tmp_path, {"a.txt": "x"})
            await told.wait(30)


async def test_a_folder_made_anew_under_the_same_name_is_another_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with open_folder_changes(str(folder)) as changes:
        assert changes.is_in_place()
        # Some file systems give the number of a folder that is gone to the next one.
        for _ in range(3):
            folder.rmdir()
            assert not changes.is_in_place()
            folder.mkdir()
            assert not changes.is_in_place()
    async with open_folder_changes(str(folder)) as changes:
        assert changes.is_in_place()


async def test_waiting_for_changes_can_be_cancelled_and_begun_again(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with open_folder_changes(str(tmp_path)) as told:
            with trio.move_on_after(0.01) as scope:
                await told.wait(30)
            assert scope.cancelled_caught
            fill(tmp_path, {"a.txt": "x"})
            await told.wait(30)


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        ("/a.txt", True), ("/sub/a.txt", True), ("/.gitignore", True), ("/sub/.gitignore", True), ("", True),
        ("/.git/index", False), ("/.a.txt.swp", False), ("/sub/node_modules/a/b.js", False),
    ],
)  # fmt: skip
def test_changes_in_what_is_left_out_do_not_matter(below: str, expected: bool) -> None:
    assert matters(below) is expected
