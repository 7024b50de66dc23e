"""Taking documents in: what is stored, what is left as it is, what fails alone, and what ends an ingest."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest
import trio

from agentgw.protocol.calls.documents import DocumentIngestParams
from agentgw.protocol.errors import InvalidParams, ModelUnavailable, StorageUnavailable
from agentgw_daemon.config.settings import RagSection
from agentgw_daemon.knowledge.ingest import walking
from agentgw_daemon.knowledge.ingest.ingest import MOST_AT_ONCE
from agentgw_daemon.observability import failpoint
from agentgw_daemon.workers.protocol import retrieval as wire
from tests.knowledge.live import counts, fill, live_ingest, reasons
from tests.retrieval.fakeworker import EMBEDDER, TIMES_NS, fake_settings, packed

pytestmark = pytest.mark.anyio


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder whose files were not written just now."""
    folder = tmp_path / "notes"
    fill(folder, {"a.txt": "apples\n\npears", "b.txt": "bread", "sub/c.txt": "cheese\n\nchalk\n\nchess"})
    age(folder)
    return folder


def age(folder: Path) -> None:
    """Sets files back in time: what was written a moment ago would be read again."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(10**18, 10**18 + len(str(path))))


async def test_a_folder_becomes_documents_with_chunks_and_vectors(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        result = await made.take(notes)
        assert counts(result) == (3, 0, 0, 6)
        assert await made.texts() == {
            f"{notes}/a.txt": ["apples", "pears"],
            f"{notes}/b.txt": ["bread"],
            f"{notes}/sub/c.txt": ["cheese", "chalk", "chess"],
        }
        assert await made.count_vectors() == 6
        last = made.progress[-1]
        assert (last.files_done, last.files_total, last.chunks) == (3, 3, 6)


async def test_unchanged_files_are_not_opened(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        # A reader would fail on what is in the files now; nobody looks.
        for path in (notes / "a.txt", notes / "b.txt"):
            status = path.stat()
            path.write_bytes(b"\0" * status.st_size)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        result = await made.take(notes)
        assert counts(result) == (0, 0, 3, 0)
        assert result.failed == ()


@pytest.mark.parametrize("name", TIMES_NS)
async def test_a_file_of_a_far_year_is_stored(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "old"
    fill(folder, {name: "apples", "b.txt": "bread"})
    age(folder)
    async with live_ingest(tmp_path) as made:
        assert counts(await made.take(folder)) == (2, 0, 0, 2)
        assert counts(await made.take(folder)) == (0, 0, 2, 0)
        (folder / name).write_text("pears")
        assert counts(await made.take(folder)) == (0, 1, 1, 1)


async def test_a_file_that_was_only_touched_is_hashed_and_not_cut_again(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        before = await made.database.embeddings.generation()
        os.utime(notes / "a.txt", ns=(1, 10**18 + 5))
        assert counts(await made.take(notes)) == (0, 0, 3, 0)
        known = await made.database.documents.known("default", [f"{notes}/a.txt"])
        assert known[f"{notes}/a.txt"].mtime_ns == 10**18 + 5
        assert await made.database.embeddings.generation() == before


async def test_a_file_that_may_change_with_the_same_time_is_looked_at_again_next_time(tmp_path: Path) -> None:
    file = tmp_path / "n" / "a.txt"
    fill(tmp_path, {"n/a.txt": "one"})
    # As if it were written in the moment in which it is read.
    just_now = time.time_ns() + 10**12
    os.utime(file, ns=(just_now, just_now))
    async with live_ingest(tmp_path) as made:
        await made.take(file)
        file.write_text("two")
        os.utime(file, ns=(just_now, just_now))
        await made.take(file)
        assert await made.texts() == {str(file): ["two"]}


async def test_a_changed_file_replaces_its_chunks(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        (notes / "a.txt").write_text("plums")
        assert counts(await made.take(notes)) == (0, 1, 2, 1)
        assert (await made.texts())[f"{notes}/a.txt"] == ["plums"]
        assert await made.count_vectors() == 5


async def test_the_same_content_twice_is_embedded_and_stored_once(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        fill(notes, {"copy.txt": "apples\n\npears"})
        assert counts(await made.take(notes)) == (1, 0, 3, 0)
        assert (await made.texts())[f"{notes}/copy.txt"] == ["apples", "pears"]
        assert await made.count_vectors() == 6
        # Also when both come in the same moment.
        fill(notes, {"new.txt": "plums", "new too.txt": "plums"})
        assert counts(await made.take(notes)) == (2, 0, 4, 1)
        assert made.progress[-1].chunks == 1


async def test_vanished_files_are_told_and_removed_when_asked(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        (notes / "a.txt").unlink()
        (notes / "sub" / "c.txt").unlink()
        (notes / "sub" / "c.txt").mkdir()
        result = await made.take(notes)
        assert (set(result.vanished), result.vanished_count, result.removed) == (
            {f"{notes}/a.txt", f"{notes}/sub/c.txt"},
            2,
            (),
        )
        assert len(await made.texts()) == 3
        result = await made.take(notes, prune=True)
        assert (set(result.removed), result.removed_count, result.vanished) == (
            {f"{notes}/a.txt", f"{notes}/sub/c.txt"},
            2,
            (),
        )
        assert list(await made.texts()) == [f"{notes}/b.txt"]


async def test_what_is_left_out_by_now_is_told_and_removed_when_asked(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        (notes / ".gitignore").write_text("a.txt\n")
        result = await made.take(notes)
        assert (result.vanished, result.removed) == ((f"{notes}/a.txt",), ())
        assert len(await made.texts()) == 3
        result = await made.take(notes, prune=True, exclude=("c.txt",))
        assert (set(result.removed), result.vanished) == ({f"{notes}/a.txt", f"{notes}/sub/c.txt"}, ())
        assert list(await made.texts()) == [f"{notes}/b.txt"]


async def test_what_is_found_no_more_for_another_reason_than_a_rule_is_kept(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(notes, {".hidden": "hints", "named.txt": "nuts"})
    async with live_ingest(tmp_path) as made:
        # Named itself, with another folder, or in a folder that cannot be looked into now.
        await made.take(notes / ".hidden", notes / "named.txt")
        await made.take(notes / "sub")
        await made.take(notes)
        before = await made.texts()
        (notes / ".gitignore").write_text("named.txt\nsub/\n")
        assert (await made.take(notes, prune=True)).removed == ()
        (notes / ".gitignore").write_text("x" * (128 << 10) + "\n")
        result = await made.take(notes, prune=True)
        assert reasons(result) == {"notes": ".gitignore has more than 128 kB"}
        (notes / ".gitignore").unlink()
        monkeypatch.setattr(walking, "MAX_FILES", 1)
        result = await made.take(notes, prune=True)
        assert reasons(result) == {"notes": "more than 1 files at once; ingest the folders in it one by one"}
        assert await made.texts() == before


async def test_a_document_that_came_by_a_link_goes_with_the_link(tmp_path: Path, notes: Path) -> None:
    fill(tmp_path, {"away.txt": "away"})
    async with live_ingest(tmp_path) as made:
        fill(notes, {"link.txt": "away"})
        await made.take(notes)
        (notes / "link.txt").unlink()
        (notes / "link.txt").symlink_to(tmp_path / "away.txt")
        result = await made.take(notes, prune=True)
        assert result.removed == (f"{notes}/link.txt",)
        assert reasons(result) == {"link.txt": f"is a link that leads out, to {tmp_path}/away.txt; name that itself"}


async def test_a_named_file_that_is_gone_fails_or_is_pruned(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        (notes / "a.txt").unlink()
        assert reasons(await made.take(notes / "a.txt")) == {"a.txt": "no such file or directory"}
        result = await made.take(notes / "a.txt", prune=True)
        assert (result.removed, result.failed) == ((f"{notes}/a.txt",), ())


async def test_labels_of_unchanged_files_follow_what_is_asked(tmp_path: Path, notes: Path) -> None:
    source = f"{notes}/a.txt"
    async with live_ingest(tmp_path) as made:
        await made.take(notes, skills=("code_assistant",), tags=("x", "y"))
        assert await made.labels(source) == (("code-assistant",), ("x", "y"))
        assert counts(await made.take(notes)) == (0, 0, 3, 0)
        assert await made.labels(source) == (("code-assistant",), ("x", "y"))
        await made.take(notes, tags=("z",))
        assert await made.labels(source) == (("code-assistant",), ("z",))
        (notes / "a.txt").write_text("changed")
        await made.take(notes, skills=())
        assert await made.labels(source) == ((), ("z",))


async def test_another_chunk_size_cuts_anew(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        assert counts(await made.take(notes, chunk_size=32)) == (0, 3, 0, 6)
        assert counts(await made.take(notes, chunk_size=32)) == (0, 0, 3, 0)
        made.settings = RagSection(chunk_size=32)
        assert counts(await made.take(notes)) == (0, 0, 3, 0)


async def test_chunks_larger_than_the_embedder_reads_are_refused(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        with pytest.raises(InvalidParams, match="254 tokens that fake reads"):
            await made.take(notes, chunk_size=255)


async def test_a_document_prompt_is_embedded_with_each_chunk_and_takes_its_part_of_the_window(tmp_path: Path) -> None:
    prompted = dataclasses.replace(EMBEDDER, id="prompted", document_prompt="passage: ", query_prompt="query: " * 9)

    async def resolve() -> wire.Embedder:
        return prompted

    async with live_ingest(tmp_path, resolve=resolve) as made:
        await made.take(text="one\n\ntwo", source="talk.md")
        rows = await made.database._thread.read(lambda db: db.execute("SELECT vectors FROM vectors").fetchall())
        assert b"".join(row[0] for row in rows) == packed("passage: one") + packed("passage: two")
        # 256, two marks and nine bytes.
        with pytest.raises(InvalidParams, match="245 tokens that fake reads"):
            await made.take(text="one", source="talk.md", chunk_size=246)
        made.settings = RagSection(chunk_size=300)
        await made.take(text="one", source="other.md")
        known = await made.database.documents.known("default", ["other.md"])
        assert known["other.md"].chunking.split("/")[1] == "245"


async def test_a_text_is_stored_under_its_name_and_replaced(tmp_path: Path) -> None:
    async with live_ingest(tmp_path) as made:
        assert counts(await made.take(text="one\n\ntwo", source="talk.md")) == (1, 0, 0, 2)
        assert counts(await made.take(text="one\n\ntwo", source="talk.md")) == (0, 0, 1, 0)
        assert counts(await made.take(text="three", source="talk.md")) == (0, 1, 0, 1)
        assert await made.texts() == {"talk.md": ["three"]}


async def test_a_file_is_stored_under_the_name_that_is_given(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes / "a.txt", source="stdin.txt")
        fill(tmp_path, {"other/tmp": "other"})
        assert counts(await made.take(tmp_path / "other" / "tmp", source="stdin.txt")) == (0, 1, 0, 1)
        assert await made.texts() == {"stdin.txt": ["other"]}


async def test_collections_are_apart(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        await made.take(notes)
        assert counts(await made.take(notes, collection="work")) == (3, 0, 0, 0)
        (notes / "b.txt").unlink()
        await made.take(notes, collection="work", prune=True)
        assert (len(await made.texts()), len(await made.texts("work"))) == (3, 2)


async def test_one_bad_file_is_listed_and_the_rest_is_stored(tmp_path: Path, notes: Path) -> None:
    fill(notes, {"junk.bin": "\0\0", "refuse:unreadable": "x", "key": "-----BEGIN RSA PRIVATE KEY-----\nAA"})
    os.mkfifo(notes / "pipe")
    async with live_ingest(tmp_path) as made:
        result = await made.take(notes)
        assert counts(result) == (3, 0, 0, 6)
        assert reasons(result) == {
            "junk.bin": "is not text", "refuse:unreadable": "as you asked", "key": "is a private key",
            "pipe": "is a pipe, not a file",
        }  # fmt: skip
        assert result.failed_count == 4
        assert made.progress[-1].files_done == made.progress[-1].files_total == 6


async def test_a_document_that_kills_its_reader_fails_alone(tmp_path: Path, notes: Path) -> None:
    fill(notes, {"die:9": "x", "die:11": "x", "exit:3": "x"})
    async with live_ingest(tmp_path) as made:
        result = await made.take(notes)
        assert counts(result) == (3, 0, 0, 6)
        assert sorted(reasons(result)) == ["die:11", "die:9", "exit:3"]
        assert "SIGSEGV" in reasons(result)["die:11"]


async def test_a_document_that_hangs_its_reader_fails_alone(tmp_path: Path, notes: Path) -> None:
    fill(notes, {"hang": "x"})
    async with live_ingest(tmp_path, fake_settings(heartbeat_timeout_s=0.5, cancel_timeout_s=0.1)) as made:
        result = await made.take(notes)
        assert counts(result) == (3, 0, 0, 6)
        assert list(reasons(result)) == ["hang"]


async def test_a_document_that_kills_the_embedder_fails_alone(tmp_path: Path, notes: Path) -> None:
    # The fake dies of its first text only, so that in company it lives: the file comes first in its batch.
    fill(notes, {"0.txt": "die:9"})
    async with live_ingest(tmp_path) as made:
        result = await made.take(notes)
        assert counts(result)[:3] == (3, 0, 0)
        assert list(reasons(result)) == ["0.txt"]
        assert "cannot be embedded" in reasons(result)["0.txt"]
        assert "0.txt" not in str(await made.texts())


async def test_a_file_that_vanishes_before_it_is_read_fails_alone(tmp_path: Path, notes: Path) -> None:
    async with live_ingest(tmp_path) as made:
        gathering = made.ingest._parts.database.documents.known

        async def known(*args: object) -> object:
            (notes / "b.txt").unlink(missing_ok=True)
            return await gathering(*args)  # type: ignore[arg-type]

        made.database.documents.known = known  # type: ignore[method-assign, assignment]
        result = await made.take(notes)
        assert counts(result)[:3] == (2, 0, 0)
        assert list(reasons(result)) == ["b.txt"]


async def test_a_full_disk_ends_it_and_what_was_stored_stays_whole(tmp_path: Path) -> None:
    fill(tmp_path / "n", {f"{n:03}.txt": f"word{n}\n\nagain{n}" for n in range(40)})
    async with live_ingest(tmp_path) as made:
        await made.take(tmp_path / "n" / "000.txt", tmp_path / "n" / "001.txt")
        failpoint.arm("before-commit:0.3:enospc")
        try:
            with pytest.raises(StorageUnavailable):
                # Three of ten commits fail.
                for _ in range(100):
                    await made.take(tmp_path / "n")
        finally:
            failpoint.arm("")
        texts = await made.texts()
        assert all(len(chunks) == 2 for chunks in texts.values())
        assert await made.count_vectors() == 2 * len(texts)
        await made.take(tmp_path / "n")
        assert len(await made.texts()) == 40


async def test_without_an_embedder_nothing_is_read(tmp_path: Path, notes: Path) -> None:
    async def none() -> wire.Embedder:
        raise ModelUnavailable(
            "there is no embedder", hint="agentgw pull all-minilm-l6-v2", suggestion="all-minilm-l6-v2"
        )

    async with live_ingest(tmp_path, resolve=none) as made:
        with pytest.raises(ModelUnavailable):
            await made.take(notes)
        assert made.retrieval.workers() == ()


async def test_cancelled_it_keeps_what_it_stored(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"a.txt": "apples", "slow": "x"})
    async with live_ingest(tmp_path) as made:
        with trio.CancelScope() as scope:
            changed = made.database.embeddings._changes.next
            async with trio.open_nursery() as nursery:
                nursery.start_soon(made.take, tmp_path / "n")
                await changed.wait()
                scope.cancel()
        assert scope.cancelled_caught
        assert await made.texts() == {f"{tmp_path}/n/a.txt": ["apples"]}
        # Its workers are free again.
        (tmp_path / "n" / "slow").unlink()
        assert counts(await made.take(tmp_path / "n")) == (0, 0, 1, 0)


async def test_more_ingests_than_may_run_wait_for_each_other(tmp_path: Path) -> None:
    async with live_ingest(tmp_path) as made:
        async with trio.open_nursery() as nursery:
            for n in range(3 * MOST_AT_ONCE):
                params = DocumentIngestParams(text=f"text {n}", source=f"{n}.txt")
                nursery.start_soon(made.ingest.run, params)
        assert await made.count_documents() == 3 * MOST_AT_ONCE
        assert not made.ingest.busy


async def test_a_small_ingest_does_not_wait_for_a_large_one(tmp_path: Path) -> None:
    fill(tmp_path / "n", {f"{n}.txt": "\n\n".join(f"w{n} x{m}" for m in range(100)) for n in range(60)})
    async with live_ingest(tmp_path) as made, trio.open_nursery() as nursery:
        changed = made.database.embeddings._changes.next
        nursery.start_soon(made.take, tmp_path / "n")
        await changed.wait()
        await made.ingest.run(DocumentIngestParams(text="small", source="small.txt"))
        assert made.ingest.busy
        assert await made.count_documents() < 60
        nursery.cancel_scope.cancel()


async def test_a_document_without_text_is_stored_and_not_counted_as_added(tmp_path: Path) -> None:
    fill(tmp_path / "n", {"empty.txt": ""})
    async with live_ingest(tmp_path) as made:
        result = await made.take(tmp_path / "n")
        assert (counts(result), result.skipped) == ((0, 0, 0, 0), 1)
        assert await made.texts() == {f"{tmp_path}/n/empty.txt": []}
        # Stored, and not without a word.
        assert [(one.source, one.note) for one in result.notes] == [
            (f"{tmp_path}/n/empty.txt", "has no text: nothing of it can be found")
        ]


async def test_names_that_are_not_utf8_are_taken_and_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / "n").mkdir()
    for name in (b"caf\xe9", b"refuse:\xff"):
        with open(os.fsencode(tmp_path / "n") + b"/" + name, "w") as file:
            file.write("coffee")
    async with live_ingest(tmp_path) as made:
        result = await made.take(tmp_path / "n")
        assert list(await made.texts()) == [f"{tmp_path}/n/caf\\xe9"]
        assert result.added == 1
        assert all(one.source.encode() for one in result.failed)
        assert counts(await made.take(f"file://{tmp_path}/n/caf%E9"))[2] == 1


@pytest.mark.parametrize(
    "params",
    [
        {}, {"text": "x"}, {"text": "x", "source": "y", "paths": ("/z",)}, {"paths": ("relative",)},
        {"paths": ("/a", "/b"), "source": "c"},
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(tmp_path: Path, params: dict[str, object]) -> None:
    async with live_ingest(tmp_path) as made:
        with pytest.raises(InvalidParams):
            await made.ingest.run(DocumentIngestParams(**params))  # type: ignore[arg-type]
