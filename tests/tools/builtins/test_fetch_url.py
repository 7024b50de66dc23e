"""Fetches reach only the public internet, by addresses that were checked.

The network is a fake in front of a real server on loopback; TLS is real where it matters and skipped elsewhere.
"""

from __future__ import annotations

import functools
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpcore
import pytest
import trio

from agentgw_daemon.tools.builtins import fetch_url
from agentgw_daemon.tools.builtins.fetch_url import FETCH_URL, MAX_BODY_BYTES, fetch_tool
from agentgw_daemon.tools.tool import MAX_CONTENT_BYTES, CallFailed, FunctionTool, ToolContext
from agentgw_daemon.tools.web.web import Address, Internet
from tests.tools.calling import call, content, failure, preview

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.216.34"


class Plain(httpcore.AsyncNetworkStream):
    """A stream on which TLS is taken as done."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Fake:
    """Names as the test says, connections to a server on loopback whatever the address; all of them noted."""

    def __init__(self, port: int = 0, *, real_tls: bool = False, **names: Sequence[str]) -> None:
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.connected: list[tuple[str, int]] = []
        self.resolved: list[str] = []
        self._port = port
        self._real_tls = real_tls

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.resolved.append(host)
        answers = self.names.get(host, [PUBLIC])
        if not answers:
            raise OSError("no such host")
        return [ip_address(answer) for answer in answers]

    async def connect(self, address: Address, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
        self.connected.append((str(address), port))
        stream = await httpcore.TrioBackend().connect_tcp("127.0.0.1", self._port)
        return stream if self._real_tls else Plain(stream)


Serve = Callable[[bytes], Fake]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Gives a network on which every host answers with these bytes; `serve.requests` has what was asked."""
    requests: list[bytes] = []
    async with trio.open_nursery() as nursery:

        def start(answer: bytes) -> Fake:
            listener = trio.socket.socket()
            nursery.start_soon(functools.partial(answer_all, listener, answer, requests))
            return Fake(port=bound(listener))

        start.requests = requests  # type: ignore[attr-defined]
        yield start
        nursery.cancel_scope.cancel()


def bound(listener: trio.socket.SocketType) -> int:
    raw = listener._sock
    raw.bind(("127.0.0.1", 0))
    raw.listen()
    return int(raw.getsockname()[1])


async def answer_all(listener: trio.socket.SocketType, answer: bytes, requests: list[bytes]) -> None:
    with listener:
        while True:
            connection, _ = await listener.accept()
            stream = trio.SocketStream(connection)
            async with stream:
                requests.append(bytes(await stream.receive_some()))
                try:
                    await stream.send_all(answer)
                except trio.BrokenResourceError:
                    # It has read enough.
                    continue


def response(body: str | bytes, *headers: str, status: str = "200 OK", kind: str = "text/html; charset=utf-8") -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw)}", f"Content-Type: {kind}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


async def test_a_page_comes_as_text_and_is_untrusted(context: ToolContext, serve: Serve) -> None:
    network = serve(response("<title>Hi</title><p>grün</p><script>no</script>"))
    result = await call(fetch_tool(network), context, url="https://example.test:8443/a?b=c#d")
    assert (result.ok, result.content, result.untrusted) == (True, "Hi\ngrün", True)
    assert network.resolved == ["example.test"]
    assert network.connected == [(PUBLIC, 8443)]
    request = serve.requests[0].decode()  # type: ignore[attr-defined]
    assert request.startswith("GET /a?b=c HTTP/1.1\r\nHost: example.test:8443\r\n")
    assert "cookie" not in request.lower()
    assert "authorization" not in request.lower()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "224.0.0.1", "0.0.0.0", "::", "::1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "fd00:ec2::254",
    ],
)  # fmt: skip
async def test_no_connection_to_an_address_that_is_not_public(context: ToolContext, address: str) -> None:
    for answers in ([address], [PUBLIC, address]):
        network = Fake(evil_test=answers)
        assert "not on the public internet" in await failure(fetch_tool(network), context, url="https://evil.test/")
        assert network.connected == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "localhost", "[::1]", "[::]", "[::ffff:10.0.0.1]",
     "127.0.0.1.", "１２７.0.0.1", "169.254.169.254", "[64:ff9b::7f00:1]", "0"],
)  # fmt: skip
async def test_the_real_resolver_leads_nowhere_near(context: ToolContext, host: str) -> None:
    class Watched(Internet):
        connected = False

        async def connect(self, address: Address, port: int, timeout_s: float) -> httpcore.AsyncNetworkStream:
            self.connected = True
            raise httpcore.ConnectError("not in a test")

    network = Watched()
    await failure(fetch_tool(network), context, url=f"https://{host}/")
    assert not network.connected


@pytest.mark.parametrize(
    "url",
    [
        "http://example.test/", "ftp://example.test/", "file:///etc/passwd", "unix:///run/x.sock", "//example.test/",
        "example.test", "https://", "https:///path", "https://user@example.test/", "https://a:b@example.test/",
        "https://example.test:99999999/", "https://exa\nmple.test/", "https://[::1", "http+unix://%2Frun%2Fx/", "",
        "\0", "https://example.test:0/",
    ],
)  # fmt: skip
async def test_other_addresses_are_refused_before_anything_is_looked_up(context: ToolContext, url: str) -> None:
    network = Fake()
    assert (await failure(fetch_tool(network), context, url=url)).startswith("url: ")
    assert network.resolved == []


async def test_a_name_is_resolved_once(context: ToolContext, serve: Serve) -> None:
    """A second answer (public first, loopback then) is never asked for."""
    network = serve(response("<p>x"))
    answers = [["127.0.0.1"], [PUBLIC]]

    async def rebinding(host: str, port: int) -> Sequence[Address]:
        return [ip_address(answer) for answer in answers.pop()]

    network.resolve = rebinding  # type: ignore[method-assign]
    assert await content(fetch_tool(network), context, url="https://rebind.test/") == "x"
    assert network.connected == [(PUBLIC, 443)]
    assert len(answers) == 1


async def test_a_redirect_is_text_not_a_way(context: ToolContext, serve: Serve) -> None:
    network = serve(response("", "Location: https://127.0.0.1/\x1b[2J", status="302 Found"))
    said = await call(fetch_tool(network), context, url="https://example.test/")
    assert (said.ok, said.untrusted) == (False, True)
    # h11 refuses control characters in a header, so they never get as far as the text.
    assert "\x1b" not in said.content
    network = serve(response("", "Location: http://127.0.0.1/admin", status="302 Found"))
    said = await call(fetch_tool(network), context, url="https://example.test/")
    assert said.content == "status 302: moved to http://127.0.0.1/admin (not followed)"
    assert len(network.connected) == 1


async def test_a_body_is_read_only_so_far(context: ToolContext, serve: Serve) -> None:
    tool = fetch_tool(serve(response("word " * MAX_BODY_BYTES, kind="text/plain")))
    said = await content(tool, context, url="https://example.test/")
    assert len(said) < MAX_CONTENT_BYTES + 500
    assert said.endswith("KiB that are read]")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (response("<p>gone</p>", status="404 Not Found"), "status 404\ngone"),
        (response(b"\x89PNG\0", kind="image/png\x1b"[:9]), "not text: image/png"),
        (response("x", "Content-Encoding: gzip"), "compressed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "example.test: "),
        (b"", "example.test: "),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000, "example.test: "),
    ],
)
async def test_other_answers_are_failures(context: ToolContext, serve: Serve, answer: bytes, said: str) -> None:
    assert said in await failure(fetch_tool(serve(answer)), context, url="https://example.test/")


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("grün".encode("latin-1"), "text/plain; charset=ISO-8859-1", "grün"),
        ("grün".encode(), "text/plain; charset=punycode", "grün"),
        ("grün".encode(), "text/plain; charset=no-such", "grün"),
        (b'{"a": 1}', "application/json", '{"a": 1}'),
        (b"<a>1</a>", "application/atom+xml", "<a>1</a>"),
    ],
)
async def test_text_of_other_kinds(context: ToolContext, serve: Serve, body: bytes, kind: str, text: str) -> None:
    assert await content(fetch_tool(serve(response(body, kind=kind))), context, url="https://example.test/") == text


async def test_a_host_that_is_not_there_or_not_answering(
    context: ToolContext, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cannot be found" in await failure(fetch_tool(Fake(gone_test=[])), context, url="https://gone.test/")
    monkeypatch.setattr(fetch_url, "TIME_S", 0.3)
    slow = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: text/plain\r\n\r\nonly")

    async def never(*_: Any) -> Sequence[Address]:
        await trio.sleep_forever()
        raise AssertionError

    slow.resolve = never  # type: ignore[method-assign]
    assert "did not answer in full" in await failure(fetch_tool(slow), context, url="https://slow.test/")


async def test_the_approval_shows_where_it_goes(context: ToolContext) -> None:
    shown = await preview(FETCH_URL, context, url="https://gооgle.test/?q=\u202e")
    assert "\\u202e" in shown.title
    assert shown.details[0] == "host: xn--ggle-55da.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of example.test in one file."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=example.test", "-addext", "subjectAltName=DNS:example.test", "-keyout", folder / "k", "-out",
         folder / "c"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "both").write_bytes((folder / "k").read_bytes() + (folder / "c").read_bytes())
    return folder


def trusting(certificate: Path, network: Fake) -> FunctionTool:
    return fetch_tool(network, trust=lambda: ssl.create_default_context(cafile=certificate / "c"))


async def test_certificate_and_sni_are_those_of_the_name(context: ToolContext, certificate: Path) -> None:
    asked: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate / "both")
    server.sni_callback = lambda _object, name, _context: asked.append(name)

    async def handle(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, server, server_side=True, https_compatible=True)
        try:
            await secure.receive_some(65536)
            await secure.send_all(response("<p>secret channel"))
            await secure.aclose()
        except trio.BrokenResourceError:
            # A client that does not trust us.
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(functools.partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        for host, trusted, said in (
            ("example.test", True, "secret channel"),
            ("other.test", True, "certificate verify failed"),
            ("example.test", False, "certificate verify failed"),
        ):
            network = Fake(port=port, real_tls=True)
            tool = trusting(certificate, network) if trusted else fetch_tool(network)
            assert said in (await call(tool, context, url=f"https://{host}/")).content
        nursery.cancel_scope.cancel()
    assert asked == ["example.test", "other.test", "example.test"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]", "localhost"]
)
async def test_nobody_is_asked_about_an_address_that_is_not_public(context: ToolContext, host: str) -> None:
    with pytest.raises(CallFailed, match="not on the public internet"):
        await preview(FETCH_URL, context, url=f"https://{host}/")


async def test_a_public_address_and_a_name_are_asked_about(context: ToolContext) -> None:
    for host in ("1.1.1.1", "example.com", "[2606:4700:4700::1111]"):
        assert host in (await preview(FETCH_URL, context, url=f"https://{host}/")).title
