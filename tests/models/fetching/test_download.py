"""One file over HTTP from a server that drops, lies, forgets and changes its mind."""

from __future__ import annotations

import errno
import hashlib
import random
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import ModelUnavailable, NotFound
from agentgw_daemon.models.fetching import part as parts
from agentgw_daemon.models.fetching.download import Remote, check_address, fetch, open_client
from agentgw_daemon.models.fetching.meter import DownloadMeter
from agentgw_daemon.models.refusals import disk_failed
from tests.models.hubserver import Answer, Hub

pytestmark = pytest.mark.anyio

BODY = random.Random(7).randbytes(300_000)
OTHER = random.Random(8).randbytes(300_000)
NO_PAUSES = (0.0, 0.0, 0.0)


@pytest.fixture
def remote(hub: Hub) -> Remote:
    sha256 = hub.add("o/r", "m.gguf", BODY)
    return Remote(name="hf:o/r", url=f"{hub.url}/o/r/resolve/main/m.gguf", size_bytes=len(BODY), sha256=sha256)


async def download(remote: Remote, path: Path) -> list[int]:
    """Fetches; gives the progress that was told."""
    meter, seen = DownloadMeter(remote.size_bytes), []

    async def progress(done_bytes: int, total_bytes: int) -> None:
        seen.append(done_bytes)

    error: ModelUnavailable | NotFound | None = None
    async with open_client(remote.url, remote.name) as client, trio.open_nursery() as nursery:
        nursery.start_soon(meter.watch, progress)
        try:
            await fetch(client, remote, path, meter, pauses_s=NO_PAUSES)
        except (ModelUnavailable, NotFound) as caught:
            error = caught
        meter.close()
    assert seen == sorted(seen)
    if error is not None:
        raise error
    assert path.read_bytes() == BODY
    return seen


def starts(hub: Hub) -> list[str | None]:
    return [request.headers.get("Range") for request in hub.downloads]


async def test_a_file_arrives_whole_and_progress_ends_at_its_size(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    seen = await download(remote, tmp_path / "part")
    assert seen[-1] == len(BODY)
    assert starts(hub) == [None]
    assert hub.downloads[0].headers["Accept-Encoding"] == "identity"
    assert hub.downloads[0].headers["User-Agent"].startswith("agentgw/")


async def test_a_dropped_connection_is_taken_up_where_it_stopped(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(drop_after=150_000), Answer(drop_after=100_000)]
    await download(remote, tmp_path / "part")
    assert starts(hub) == [None, "bytes=150000-", "bytes=250000-"]
    assert hub.downloads[1].headers["If-Range"].startswith('"')


async def test_many_drops_are_survived_as_long_as_bytes_arrive(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(drop_after=10_000) for _ in range(29)]
    await download(remote, tmp_path / "part")
    assert len(hub.downloads) == 30


async def test_tries_without_a_new_byte_are_bounded_and_the_part_is_kept(
    hub: Hub, remote: Remote, tmp_path: Path
) -> None:
    hub.answers = [Answer(drop_after=100_000), *(Answer(drop_after=0) for _ in range(50))]
    with pytest.raises(ModelUnavailable) as caught:
        await download(remote, tmp_path / "part")
    assert len(hub.downloads) == 1 + len(NO_PAUSES)
    assert "100000 of 300000 bytes are kept" in caught.value.hint
    assert (tmp_path / "part").read_bytes() == BODY[:100_000]


async def test_a_server_that_ignores_ranges_starts_again_cleanly(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(drop_after=200_000), Answer(ignore_range=True)]
    await download(remote, tmp_path / "part")
    assert starts(hub) == [None, "bytes=200000-"]


async def test_a_server_that_ignores_ranges_and_always_drops_is_given_up(
    hub: Hub, remote: Remote, tmp_path: Path
) -> None:
    hub.answers = [Answer(drop_after=200_000, ignore_range=True) for _ in range(50)]
    with pytest.raises(ModelUnavailable):
        await download(remote, tmp_path / "part")
    assert len(hub.downloads) == 1 + len(NO_PAUSES)


async def test_a_file_that_changed_between_two_tries_is_not_mixed(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(drop_after=200_000, body=OTHER)]
    await download(remote, tmp_path / "part")
    # If-Range names the old file, so the server sent the new one whole.
    assert starts(hub) == [None, "bytes=200000-"]
    assert hub.downloads[1].headers["If-Range"] == f'"{hashlib.sha256(OTHER).hexdigest()[:16]}"'


async def test_an_earlier_part_is_resumed(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY[:120_000])
    seen = await download(remote, tmp_path / "part")
    assert starts(hub) == ["bytes=120000-"]
    assert seen[0] in (0, 120_000)


async def test_a_complete_part_needs_no_request(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY)
    await download(remote, tmp_path / "part")
    assert hub.downloads == []


@pytest.mark.parametrize("left", [OTHER[:120_000], OTHER, BODY + b"more"], ids=["damaged", "another", "longer"])
async def test_a_part_that_is_not_of_this_file_is_thrown_away(
    hub: Hub, remote: Remote, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "part").write_bytes(left)
    await download(remote, tmp_path / "part")
    assert starts(hub)[-1] is None


async def test_wrong_bytes_are_refused_and_leave_nothing(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(body=OTHER)]
    with pytest.raises(ModelUnavailable, match="sha256") as caught:
        await download(remote, tmp_path / "part")
    assert caught.value.data["reason"].startswith(f"its sha256 is {hashlib.sha256(OTHER).hexdigest()}")
    assert not (tmp_path / "part").exists()


async def test_a_body_longer_than_announced_is_cut_and_refused(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(body=BODY + b"x" * 1_000_000, without_length=True)]
    with pytest.raises(ModelUnavailable, match="sends more than the 300000 bytes"):
        await download(remote, tmp_path / "part")
    assert (tmp_path / "part").stat().st_size == 0


async def test_a_length_that_contradicts_the_list_is_refused(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(length=299_999)]
    with pytest.raises(ModelUnavailable, match="has 299999 bytes, the hub's list says 300000"):
        await download(remote, tmp_path / "part")


async def test_a_total_of_a_range_that_contradicts_the_list_is_refused(
    hub: Hub, remote: Remote, tmp_path: Path
) -> None:
    hub.answers = [Answer(drop_after=100_000), Answer(length=400_000)]
    with pytest.raises(ModelUnavailable, match="has 400000 bytes"):
        await download(remote, tmp_path / "part")


async def test_an_early_end_without_a_length_is_resumed(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(body=BODY[:90_000], without_length=True, etag='"same"'), Answer(etag='"same"')]
    await download(remote, tmp_path / "part")
    assert starts(hub) == [None, "bytes=90000-"]


async def test_another_range_than_the_one_asked_for_is_not_mixed_in(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(drop_after=100_000), Answer(range_from=50_000)]
    await download(remote, tmp_path / "part")
    assert starts(hub) == [None, "bytes=100000-", None]


async def test_a_refused_range_starts_again(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(drop_after=100_000), Answer(status=416)]
    await download(remote, tmp_path / "part")
    assert starts(hub) == [None, "bytes=100000-", None]


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
async def test_a_server_in_trouble_is_asked_again(hub: Hub, remote: Remote, tmp_path: Path, status: int) -> None:
    hub.answers = [Answer(status=status)]
    await download(remote, tmp_path / "part")
    assert len(hub.downloads) == 2


@pytest.mark.parametrize(
    ("status", "error"), [(404, NotFound), (401, ModelUnavailable), (403, ModelUnavailable), (400, ModelUnavailable)]
)
async def test_a_refusal_is_final(
    hub: Hub, remote: Remote, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    hub.answers = [Answer(status=status)]
    with pytest.raises(error):
        await download(remote, tmp_path / "part")
    assert len(hub.downloads) == 1


async def test_a_packed_body_is_refused(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(encoding="gzip")]
    with pytest.raises(ModelUnavailable, match="packs"):
        await download(remote, tmp_path / "part")


async def test_a_redirect_is_followed(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.add("cdn/files", "1.gguf", BODY)
    hub.answers = [Answer(location=f"{hub.url}/cdn/files/resolve/main/1.gguf")]
    await download(remote, tmp_path / "part")
    assert [request.path for request in hub.downloads][-1] == "/cdn/files/resolve/main/1.gguf"


@pytest.mark.parametrize(
    "location", ["http://192.0.2.1/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x"]
)
async def test_a_redirect_to_anything_but_https_is_refused(
    hub: Hub, remote: Remote, tmp_path: Path, location: str
) -> None:
    hub.answers = [Answer(location=location)]
    with pytest.raises(ModelUnavailable, match="not allowed") as caught:
        await download(remote, tmp_path / "part")
    assert "pw" not in caught.value.message


async def test_a_circle_of_redirects_ends(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(location=remote.url) for _ in range(50)]
    with pytest.raises(ModelUnavailable, match="circle"):
        await download(remote, tmp_path / "part")
    assert len(hub.downloads) == 9


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "http://127.0.0.1/x", "https://localhost/x", "https://[::1]/x"]
)
def test_a_hub_elsewhere_leads_to_https_elsewhere_only(url: str) -> None:
    with pytest.raises(ModelUnavailable):
        check_address(url, "m", local=False)
    check_address("https://example.com/x", "m", local=False)


async def test_cancelling_keeps_every_byte_that_arrived(hub: Hub, remote: Remote, tmp_path: Path) -> None:
    hub.answers = [Answer(hold_after=180_000)]
    meter = DownloadMeter(remote.size_bytes)
    with trio.CancelScope() as pull:

        async def progress(done_bytes: int, total_bytes: int) -> None:
            if done_bytes == 180_000:
                pull.cancel()

        async with open_client(remote.url, remote.name) as client, trio.open_nursery() as nursery:
            nursery.start_soon(meter.watch, progress)
            await fetch(client, remote, tmp_path / "part", meter, pauses_s=NO_PAUSES)
    assert pull.cancelled_caught
    assert (tmp_path / "part").read_bytes() == BODY[:180_000]
    hub.released.set()
    await download(remote, tmp_path / "part")
    assert starts(hub) == [None, "bytes=180000-"]


async def test_large_bodies_are_written_block_by_block(
    hub: Hub, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentgw_daemon.models.fetching.download.BLOCK_BYTES", 10_000)
    sizes: list[int] = []
    append = parts.PartialFile.append

    def record(self: parts.PartialFile, data: bytes) -> None:
        sizes.append(len(data))
        append(self, data)

    monkeypatch.setattr(parts.PartialFile, "append", record)
    await download(remote, tmp_path / "part")
    assert len(sizes) > 1
    assert sum(sizes) == len(BODY)


async def test_a_server_that_is_not_there_is_told_in_words(remote: Remote, tmp_path: Path) -> None:
    # The port of a server that has gone: nobody listens on it.
    gone = replace(remote, url="http://127.0.0.1:9/o/r/resolve/main/m.gguf")
    with pytest.raises(ModelUnavailable, match="cannot be downloaded: ") as caught:
        await download(gone, tmp_path / "part")
    assert "check the network" in caught.value.hint


async def test_a_disk_that_takes_no_more_is_told_in_words(remote: Remote, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(ModelUnavailable, match="hf:o/r cannot be stored: File too large"):
            await download(remote, tmp_path / "part")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_called_by_its_name() -> None:
    error = disk_failed("m", OSError(errno.ENOSPC, "No space left on device"))
    assert error.message == "m cannot be stored: the disk is full"
