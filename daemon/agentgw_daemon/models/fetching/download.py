"""Downloading one file over HTTP: resumed after every break, verified before it counts.

    await fetch(client, remote, part_path, meter)

The bytes gather in a part file. A connection that breaks is taken up again where it stopped (`Range` with
`If-Range`); a server that ignores ranges starts again from the beginning; tries without a single new byte are
counted and bounded. Cancelled at any point, the part stays for the next pull.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import trio

from agentgw import __version__
from agentgw.protocol.errors import ModelUnavailable, NotFound, RpcError
from agentgw.protocol.records.schema import record
from agentgw_daemon.models.fetching.hub_access import hub_token, refusal
from agentgw_daemon.models.fetching.meter import DownloadMeter, FileMeter
from agentgw_daemon.models.fetching.part import BLOCK_BYTES, PartialFile
from agentgw_daemon.models.refusals import disk_failed

log = logging.getLogger(__name__)

# Seconds before each try that follows one without a new byte: half a minute in all, then the user is told.
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
TIMEOUT: Final = httpx.Timeout(30.0, connect=15.0)
# The hub needs two: to its file store, and from there to a content network.
MAX_REDIRECTS: Final = 8
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@record
class Remote:
    """A file on a server, and what it must turn out to be."""

    name: str
    url: str
    size_bytes: int
    sha256: str


class _Broken(Exception):
    """A try ended early; another one may succeed."""


async def fetch(
    client: httpx.AsyncClient,
    remote: Remote,
    path: Path,
    meter: DownloadMeter | FileMeter,
    *,
    pauses_s: Sequence[float] = PAUSES_S,
) -> None:
    """Has all of `remote` at `path`, verified and durable.

    Raises ModelUnavailable when the server cannot or will not deliver it, or delivers something else; NotFound
    when it has no such file.
    """
    limiter = trio.CapacityLimiter(1)
    part = await trio.to_thread.run_sync(_open_part, path, remote.size_bytes, limiter=limiter)
    transfer = _Transfer(client, remote, part, meter, limiter)
    try:
        resumed = part.length > 0
        await transfer.run(pauses_s)
        if part.sha256 != remote.sha256 and resumed:
            log.warning("%s: the resumed file is damaged, once more from the start", remote.name)
            await transfer.restart()
            await transfer.run(pauses_s)
        if part.sha256 != remote.sha256:
            part.discard()
            reason = f"its sha256 is {part.sha256}, not {remote.sha256} as announced"
            raise _unavailable(remote, f"what was downloaded is not {remote.name}: {reason}", reason)
        await trio.to_thread.run_sync(part.sync, limiter=limiter)
    except OSError as error:
        raise disk_failed(remote.name, error) from error
    finally:
        part.close()


def _open_part(path: Path, size_bytes: int) -> PartialFile:
    return PartialFile(path, most_bytes=size_bytes, check=trio.from_thread.check_cancelled)


class _Transfer:
    """One download: tries until the part is complete."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        remote: Remote,
        part: PartialFile,
        meter: DownloadMeter | FileMeter,
        limiter: trio.CapacityLimiter,
    ) -> None:
        self._client = client
        self._remote = remote
        self._part = part
        self._meter = meter
        self._limiter = limiter
        # A strong validator of the file the part began with; another one means another file.
        self._etag: str | None = None

    async def run(self, pauses_s: Sequence[float]) -> None:
        """Downloads until the part has the announced length."""
        best = self._part.length
        tries = 0
        self._meter.set(self._part.length)
        while self._part.length < self._remote.size_bytes:
            try:
                await self._attempt()
            except (_Broken, httpx.TransportError, httpx.DecodingError) as error:
                if self._part.length > best:
                    best, tries = self._part.length, 0
                if tries == len(pauses_s):
                    raise self._gave_up(error) from error
                log.info("%s: %r at byte %d, trying again", self._remote.name, error, self._part.length)
                await trio.sleep(pauses_s[tries])
                tries += 1

    async def restart(self) -> None:
        """Forgets what there is."""
        self._etag = None
        await trio.to_thread.run_sync(self._part.restart, limiter=self._limiter)

    async def _attempt(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._part.length:
            headers["Range"] = f"bytes={self._part.length}-"
            if self._etag is not None:
                headers["If-Range"] = self._etag
        async with open_url(self._client, self._remote.url, headers, self._remote.name) as response:
            await self._accept(response)
            etag = response.headers.get("ETag", "")
            self._etag = etag if etag.startswith('"') else None
            await self._take(response)
        if self._part.length < self._remote.size_bytes:
            raise _Broken("the server ended the file early")

    async def _accept(self, response: httpx.Response) -> None:
        """Checks the answer's head; has the part match where the body begins."""
        remote = self._remote
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _unavailable(remote, f"the server packs {remote.name}, which was not asked for", "packed")
        if response.status_code == 206:
            span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != self._part.length:
                await self.restart()
                raise _Broken("the server sent another range than the one asked for")
            announced = span[3]
        elif response.status_code == 200:
            if self._part.length:
                log.info("%s: the server starts from the beginning", remote.name)
                await self.restart()
            announced = response.headers.get("Content-Length", "*")
        elif response.status_code == 416:
            await self.restart()
            raise _Broken("the server refused the range")
        else:
            raise _refused(remote, response)
        if announced != "*" and announced != str(remote.size_bytes):
            reason = f"the server's file has {announced} bytes, the hub's list says {remote.size_bytes}"
            raise _unavailable(remote, f"{remote.name} cannot be trusted: {reason}", reason)

    async def _take(self, response: httpx.Response) -> None:
        """Appends the body. However this ends, what arrived is in the part."""
        size = self._remote.size_bytes
        pending = bytearray()

        async def take(data: bytes) -> None:
            pending.extend(data)
            received = self._part.length + len(pending)
            if received > size:
                pending.clear()
                await self.restart()
                reason = f"the server sends more than the {size} bytes it announced"
                raise _unavailable(self._remote, f"{self._remote.name} cannot be trusted: {reason}", reason)
            self._meter.set(received)
            if len(pending) >= BLOCK_BYTES:
                await self._append(pending)

        try:
            await read_body(response, take)
        finally:
            await self._append(pending)

    async def _append(self, pending: bytearray) -> None:
        """Moves what is pending to the part."""
        block = bytes(pending)
        pending.clear()
        if block:
            # At most a little over 1 MiB to the local disk: shielded, so that a cancelled pull keeps it.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._part.append, block, limiter=self._limiter)

    def _gave_up(self, error: Exception) -> ModelUnavailable:
        said = str(error) or type(error).__name__
        hint = f"check the network, then pull again: {self._part.length} of {self._remote.size_bytes} bytes are kept"
        return _unavailable(self._remote, f"{self._remote.name} cannot be downloaded: {said}", said, hint)


@asynccontextmanager
async def open_client(hub_url: str, name: str, token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client for the hub at this address, which is shown the token. Raises ModelUnavailable for an address that is
    not allowed, and for a token that cannot be sent.
    """
    local = is_loopback(hub_url)
    check_address(hub_url, name, local=local)
    # trust_env: proxies and certificates of the environment; a hub on this machine needs neither.
    async with httpx.AsyncClient(
        timeout=TIMEOUT, trust_env=not local, headers={"User-Agent": f"agentgw/{__version__}"},
        auth=hub_token(hub_url, token, name),
    ) as client:  # fmt: skip
        yield client


@asynccontextmanager
async def open_url(
    client: httpx.AsyncClient, url: str, headers: dict[str, str], name: str
) -> AsyncIterator[httpx.Response]:
    """A GET with its redirects followed, each checked like the first address; the body is not read yet.

    Raises ModelUnavailable for an address that is not allowed, httpx.TransportError when the network fails.
    """
    local = is_loopback(url)
    for _ in range(MAX_REDIRECTS + 1):
        check_address(url, name, local=local)
        response = await client.send(client.build_request("GET", url, headers=headers), stream=True)
        try:
            if response.status_code not in _REDIRECTS:
                yield response
                return
            try:
                url = str(response.url.join(response.headers.get("Location", "")))
            except httpx.InvalidURL as error:
                raise ModelUnavailable(
                    f"{name}: the server redirects to {error}", model=name, reason="bad redirect"
                ) from None
        finally:
            await response.aclose()
    raise ModelUnavailable(f"{name}: the server redirects in a circle", model=name, reason="too many redirects")


async def read_body(response: httpx.Response, take: Callable[[bytes], Awaitable[None]]) -> None:
    """Hands the body to `take` as it arrives; ends early with what `take` raises, except for a cancellation.

    Leaving httpx' iterators in the middle leaves them to the garbage collector, which trio warns about. So the
    connection is closed under them, and they end by themselves.
    """
    failed: Exception | None = None
    try:
        async for data in response.aiter_raw():
            if failed is None:
                try:
                    await take(data)
                except (RpcError, OSError) as error:
                    failed = error
                    await response.aclose()
    except (httpx.HTTPError, httpx.StreamError):
        if failed is None:
            raise
    if failed is not None:
        raise failed


def check_address(url: str, name: str, *, local: bool) -> None:
    """Raises ModelUnavailable unless the address is https; a hub on this machine may use plain http to itself."""
    parsed = httpx.URL(url)
    allowed = parsed.scheme in ("http", "https") if local and is_loopback(url) else parsed.scheme == "https"
    if not allowed or (is_loopback(url) and not local) or parsed.userinfo:
        reason = f"{parsed.scheme}://{parsed.host} is not allowed: the model hub and where it leads must be https"
        raise ModelUnavailable(f"{name}: {reason}", hint="see model.hub in config.toml", model=name, reason=reason)


def is_loopback(url: str) -> bool:
    """Tells whether the address names this machine."""
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(remote: Remote, response: httpx.Response) -> Exception:
    status, name = response.status_code, remote.name
    if status in (408, 425, 429) or status >= 500:
        return _Broken(f"the server answered {status}")
    if status in (404, 410):
        return NotFound(f"the model hub has no {name}", kind="model", id=name)
    # Files are at REPOSITORY/resolve/REVISION/FILE.
    if (wants_account := refusal(name, response, remote.url.partition("/resolve/")[0])) is not None:
        return wants_account
    reason = f"the server answered {status}"
    return ModelUnavailable(f"{name} cannot be downloaded: {reason}", model=name, reason=reason)


def _unavailable(remote: Remote, message: str, reason: str, hint: str = "") -> ModelUnavailable:
    return ModelUnavailable(message, hint=hint, model=remote.name, reason=reason)
