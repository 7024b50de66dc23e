"""One HTTP request to a machine whose addresses were checked. Imports httpx: to be imported late.

The name is resolved once, every address it has is checked, and the connection goes to one of the checked addresses
with the name in SNI, certificate and Host. Nothing is followed, nothing of the environment (proxies) is used.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, Literal, Protocol

import httpcore
import httpx
import trio

from agentgw import __version__
from agentgw.protocol.records.schema import record
from agentgw_daemon.text.visible import visible_line
from agentgw_daemon.tools.tool import CallFailed
from agentgw_daemon.tools.web.addresses import is_public, literal_of

Address = IPv4Address | IPv6Address

# A host with more is a crowd; the first few either answer or the host is down.
MAX_TRIED: Final = 4
CONNECT_S: Final = 5.0
# h11 takes no larger one.
MAX_HEAD_BYTES: Final = 100 << 10


@record
class WebResponse:
    """Response that came back. `body` is cut at the limit, `whole` says if it was not."""

    status: int
    content_type: str
    location: str
    encoding: str
    retry_after: str
    body: bytes
    whole: bool


@record
class Reach:
    """The addresses that may be connected to; `where` says it in a sentence about one that may not."""

    permits: Callable[[Address], bool] = is_public
    where: str = "on the public internet"


class Network(Protocol):
    """Names to addresses, and connections to addresses."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Every address of the host. Raises OSError."""
        ...

    async def connect(self, address: Address, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        """A connection to exactly this address. Raises httpcore's errors."""
        ...


class Internet:
    """The real one."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """See Network."""
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        # A scope (`fe80::1%eth0`) is no part of the address, and such an address is not public.
        return [ip_address(str(one[4][0]).partition("%")[0]) for one in found]

    async def connect(self, address: Address, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        """See Network."""
        return await httpcore.TrioBackend().connect_tcp(str(address), port, timeout=timeout_s)


class _FetchBudget:
    """Bytes that may still be read; `spent` once somebody wanted more."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.spent = False


class _Bounded(httpcore.AsyncNetworkStream):
    """A stream that ends when the budget is spent.

    The end comes from below, because httpcore leaves its generators behind when one stops iterating.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream, budget: _FetchBudget) -> None:
        self._inner = inner
        self._budget = budget

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._budget.left <= 0:
            self._budget.spent = True
            return b""
        data = await self._inner.read(min(max_bytes, self._budget.left), timeout)
        self._budget.left -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            secured = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            # httpcore forgets the socket when the handshake is cancelled.
            with trio.CancelScope(shield=True):
                await self._inner.aclose()
            raise
        return _Bounded(secured, self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Checked(httpcore.AsyncNetworkBackend):
    """Connections to hosts whose every address passes."""

    def __init__(self, network: Network, reach: Reach, budget: _FetchBudget) -> None:
        self._network = network
        self._reach = reach
        self._budget = budget

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = list(dict.fromkeys(await self._network.resolve(host, port)))
        except (OSError, UnicodeError):
            raise CallFailed(f"{visible_line(host)} cannot be found") from None
        if not addresses:
            raise CallFailed(f"{visible_line(host)} cannot be found")
        for address in addresses:
            if not self._reach.permits(address):
                named = str(address) if host == str(address) else f"{visible_line(host)} is {address}, which"
                raise CallFailed(f"{named} is not {self._reach.where}")
        failure: Exception = CallFailed(f"{visible_line(host)} cannot be reached")
        for address in addresses[:MAX_TRIED]:
            try:
                return _Bounded(await self._network.connect(address, port, CONNECT_S), self._budget)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise CallFailed("a socket in the file system is no web address")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


def parse(address: str, schemes: tuple[str, ...] = ("https",)) -> httpx.URL:
    """The address, which has one of these schemes and nothing but a host before the path. Raises CallFailed."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise CallFailed(f"url: {error}") from None
    if url.scheme not in schemes or not url.raw_host:
        raise CallFailed(f"url: must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host")
    if url.port is not None and not 0 < url.port < 1 << 16:
        raise CallFailed("url: there is no such port")
    if url.userinfo:
        raise CallFailed("url: must not have a user name or password")
    return url


def check_literal(host: str, permits: Callable[[Address], bool]) -> None:
    """Raises CallFailed for a host that is written as an address that must not be connected to. Resolves nothing."""
    address = literal_of(host)
    if address is not None and not permits(address):
        raise CallFailed(f"{visible_line(host)} is {address}, which is not on the public internet")


def tls() -> ssl.SSLContext:
    """The certificates the rest of the daemon trusts. Reads files."""
    return httpx.create_ssl_context()


async def get(
    url: httpx.URL, context: ssl.SSLContext, network: Network, reach: Reach, *, max_bytes: int
) -> WebResponse:
    """One page. Raises CallFailed. The caller bounds the time."""
    accept = (b"Accept", b"text/html, text/*, application/json;q=0.9, */*;q=0.1")
    response = await request("GET", url, context, network, reach, headers=[accept], max_bytes=max_bytes)
    if response.encoding not in ("", "identity"):
        raise CallFailed("the server sends only compressed content, which is not read")
    return response


async def request(
    method: Literal["GET", "POST"],
    url: httpx.URL,
    context: ssl.SSLContext,
    network: Network,
    reach: Reach,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    content: bytes | None = None,
    max_bytes: int,
    body_s: float = math.inf,
) -> WebResponse:
    """One request, one reply, whose body is not waited for beyond `body_s`. Raises CallFailed.

    The caller bounds the time in all.
    """
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    length = [] if content is None else [(b"Content-Length", str(len(content)).encode())]
    fields = [
        (b"Host", url.netloc),
        (b"User-Agent", f"agentgw/{__version__}".encode()),
        # A compressed body can be a thousand times what came over the wire.
        (b"Accept-Encoding", b"identity"),
        (b"Connection", b"close"),
        *length,
        *headers,
    ]
    budget = _FetchBudget(MAX_HEAD_BYTES + max_bytes)
    try:
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=context, max_connections=1, network_backend=_Checked(network, reach, budget)
            ) as pool,
            pool.stream(method, target, headers=fields, content=content) as response,
        ):
            return await _read(response, budget, max_bytes, body_s)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise CallFailed(f"{visible_line(url.host)}: {visible_line(_reason(error))}") from None


async def _read(response: httpcore.Response, budget: _FetchBudget, max_bytes: int, body_s: float) -> WebResponse:
    fields = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
    body = bytearray()
    with trio.move_on_after(body_s) as patience:
        try:
            async for block in response.aiter_stream():
                body += block
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            # The end came too early for the announced length: from us or from the server.
            if not budget.spent and body_s == math.inf:
                raise
            budget.spent = True
    return WebResponse(
        status=response.status,
        content_type=fields.get("content-type", ""),
        location=fields.get("location", ""),
        encoding=fields.get("content-encoding", "").strip().lower(),
        retry_after=fields.get("retry-after", "").strip(),
        body=bytes(body[:max_bytes]),
        whole=not budget.spent and not patience.cancelled_caught and len(body) <= max_bytes,
    )


def _reason(error: BaseException) -> str:
    """The reason of a failure, in words; httpcore keeps a bad certificate in the causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return cause.reason.lower().replace("_", " ") if cause.reason else "TLS failed"
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
