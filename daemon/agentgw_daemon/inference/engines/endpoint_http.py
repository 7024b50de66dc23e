"""HTTP as endpoints need it: the client and its patience, bodies left half-way, what another attempt would meet."""

from __future__ import annotations

import email.utils
import math
import socket
import ssl
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final

import httpx
import trio

import agentgw
from agentgw.protocol.records.schema import record

MAX_ERROR_BYTES: Final = 1 << 16
# The words of a refusal come with its status.
_ERROR_BODY_S: Final = 5.0
_INFLATED: Final = ("gzip", "x-gzip", "deflate")
# `none` keeps some servers in front of an endpoint from holding a stream back to compress it.
_AS_IT_IS: Final = frozenset({"", "identity", "none", "utf-8"})
_INFLATED_BYTES: Final = 1 << 16
_GZIP: Final = b"\x1f\x8b"


@record
class Patience:
    """Seconds to wait for an endpoint. `silence_s` covers the prefill of a long prompt."""

    connect_s: float = 10.0
    # To the next event; what only keeps the connection open is none.
    silence_s: float = 300.0
    # Once the answer is complete, for its usage.
    usage_s: float = 2.0
    attempts: int = 4
    first_backoff_s: float = 0.5
    # An endpoint that wants a longer pause than this gets none: the user is told instead.
    max_backoff_s: float = 30.0


def open_client(patience: Patience | None = None) -> httpx.AsyncClient:
    """The connections to all endpoints. The caller closes it."""
    patience = patience or Patience()
    return httpx.AsyncClient(
        # Reading has no limit here: silence is measured in events, see `provider`.
        timeout=httpx.Timeout(None, connect=patience.connect_s, write=patience.silence_s, pool=patience.connect_s),
        follow_redirects=False,
        # Compressed event streams arrive in lumps.
        headers={"accept-encoding": "identity", "user-agent": f"agentgw/{agentgw.__version__}"},
    )


class UnknownEncoding(httpx.DecodingError):
    """The body is encoded in a way that nobody asked for and that is not read."""


async def plain_bytes(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body's bytes, a little at a time: what was compressed may be a thousand times as long.

    Some proxies compress although nobody asked. Raises httpx.DecodingError.
    """
    encodings = response.headers.get("content-encoding", "").lower().split(",")
    named = [one for one in map(str.strip, encodings) if one not in _AS_IT_IS]
    if len(named) > 1 or not set(named) <= set(_INFLATED):
        raise UnknownEncoding(f"a body encoded as {', '.join(named)[:40]}", request=response.request)
    inflater = _Inflater(named[0]) if named else None
    async with _unwound(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            if inflater is None:
                yield chunk
                continue
            try:
                for piece in inflater.feed(chunk):
                    yield piece
            except zlib.error as error:
                raise httpx.DecodingError(str(error), request=response.request) from None


class _Inflater:
    """Makes plain bytes of a compressed body, a little at a time. Its first bytes tell how it is compressed, if it is.

    `feed` raises zlib.error.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding: Final = encoding
        self._start = b""
        self._inflater: zlib._Decompress | None = None
        # It is not compressed, whatever was said of it.
        self._plain = False
        # Some write each piece as a whole of its own, one behind the other; what else stands behind one is no answer.
        self._wholes = 0
        self._over = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The plain bytes of one more chunk."""
        while chunk and not self._over:
            if self._plain:
                yield chunk
                return
            if self._inflater is None:
                self._start += chunk
                if len(self._start) < len(_GZIP):
                    return
                chunk, self._start = self._start, b""
                self._begin(chunk)
                continue
            yield self._inflater.decompress(chunk, _INFLATED_BYTES)
            if self._inflater.eof:
                chunk, self._inflater = self._inflater.unused_data, None
                self._wholes += 1
            else:
                chunk = self._inflater.unconsumed_tail

    def _begin(self, start: bytes) -> None:
        if start.startswith(_GZIP) or (start[0] & 15 == zlib.DEFLATED and int.from_bytes(start[:2], "big") % 31 == 0):
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif self._wholes:
            self._over = True
        elif self._encoding == "deflate":
            # Without the header that it should have.
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        else:
            self._plain = True


@asynccontextmanager
async def _unwound(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """The body of a response, which may be left half-way.

    httpx reads through generators within generators and closes only the outermost; trio complains of the rest
    when they are collected. A read that is cancelled ends them all, and at most empties what is buffered.
    """
    try:
        yield chunks
    finally:
        with trio.CancelScope() as scope:
            scope.cancel()
            async for _ in chunks:
                pass


async def bounded_body(response: httpx.Response, silence_s: float) -> bytes:
    """The beginning of a body, as far as it comes in time and can be read: what there is, and the status, say more
    than what became of the rest.
    """
    body = b""
    async with aclosing(plain_bytes(response)) as chunks:
        with trio.move_on_after(min(silence_s, _ERROR_BODY_S)), suppress(httpx.HTTPError):
            async for chunk in chunks:
                body += chunk
                if len(body) >= MAX_ERROR_BYTES:
                    break
    return body[:MAX_ERROR_BYTES]


def retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None when it is absent or neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def is_hopeless(error: Exception) -> bool:
    """Tells whether another attempt would meet the same: no address, no such host or not itself, odd bytes."""
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.DecodingError):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return True
        cause = cause.__cause__ or cause.__context__
    return False
