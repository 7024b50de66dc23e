from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentgw.protocol.errors import ConfigRefused, DaemonUnreachable
from agentgw.remote import http_stream
from agentgw.remote.address import parse_address
from agentgw.remote.http_stream import connect_http
from agentgw.remote.reaching import reach
from tests.patience import PATIENCE_S

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: agentgw-rpc\r\n\r\n"
HELLO = b'{"jsonrpc":"2.0","id":1,"result":{"protocol":1,"version":"4.0.0.dev0","pid":1}}\n'
PONG = b'{"jsonrpc":"2.0","id":2,"result":"pong"}\n'
Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """One connection that is answered with these bytes, one for each time it says something; gives the port."""
    threads: list[threading.Thread] = []

    def start(*answers: bytes, context: ssl.SSLContext | None = None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        threads.append(threading.Thread(target=_answer, args=(listener, answers, context), daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def _answer(listener: socket.socket, answers: tuple[bytes, ...], context: ssl.SSLContext | None) -> None:
    with listener:
        connection: socket.socket = listener.accept()[0]
    try:
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        for answer in answers:
            connection.recv(65536)
            connection.sendall(answer)
        while connection.recv(65536):
            continue
    except OSError:
        pass
    finally:
        connection.close()


def test_frames_go_both_ways_once_it_is_switched(serve: Serve) -> None:
    port = serve(SWITCHED, HELLO, PONG)
    with reach(f"http://127.0.0.1:{port}", key="k") as client:
        assert client.call("ping") == "pong"
        assert client.where == f"http://127.0.0.1:{port}"


def test_who_speaks_before_being_asked_is_not_believed(serve: Serve) -> None:
    port = serve(SWITCHED + b'{"jsonrpc":"2.0","id":1,"result":1}\n')
    with pytest.raises(DaemonUnreachable, match="cannot be reached"):
        reach(f"http://127.0.0.1:{port}")


def test_an_answer_that_never_ends_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_stream, "HANDSHAKE_TIMEOUT_S", 0.2)
    port = serve(b"HTTP/1.1 101 Switching")
    with pytest.raises(DaemonUnreachable, match="no answer in time"):
        connect_http(parse_address(f"http://127.0.0.1:{port}"), "", plain=False)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DaemonUnreachable, match="Connection refused"):
        connect_http(parse_address(f"http://127.0.0.1:{port}"), "", plain=False)


def test_a_key_is_never_sent_in_the_clear_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()

    class Elsewhere(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            return ("192.0.2.1", 80)

    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: Elsewhere(fileno=ours.detach()))
    with theirs:
        with pytest.raises(ConfigRefused, match="unencrypted"):
            connect_http(parse_address("http://gw.example"), "secret", plain=False)
        assert theirs.recv(100) == b""


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False),
     ("fe80::1%eth0", False), ("0.0.0.0", False), ("::ffff:10.0.0.1", False)],
)  # fmt: skip
def test_loopback_is_judged_by_the_address_that_was_reached(address: str, loopback: bool) -> None:
    class Reached(socket.socket):
        def getpeername(self) -> tuple[str, int]:
            return (address, 80)

    with Reached() as connection:
        assert http_stream._is_loopback(connection) is loopback


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"],
        check=True, capture_output=True, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    return folder


def server_context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return made


def test_a_certificate_that_nobody_vouches_for_is_refused(serve: Serve, certificate: Path) -> None:
    port = serve(SWITCHED, context=server_context(certificate))
    with pytest.raises(DaemonUnreachable, match="its certificate is not trusted") as caught:
        reach(f"https://localhost:{port}", key="k")
    assert "SSL_CERT_FILE" in caught.value.hint


def test_tls_gives_all_that_has_come(serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    # More than one record of TLS, which is 16 KiB, so that some of it waits behind the first read.
    deltas = b'{"jsonrpc":"2.0","method":"turn.delta","params":{"text":"x"}}\n' * 2000
    port = serve(SWITCHED, HELLO, deltas + PONG, context=server_context(certificate))
    with reach(f"https://localhost:{port}", key="k") as client:
        stream = client.stream("ping")
        assert sum(1 for _ in stream) == 2000
        assert stream.result == "pong"


def test_a_certificate_of_another_name_is_refused(
    serve: Serve, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    port = serve(SWITCHED, context=server_context(certificate))
    with pytest.raises(DaemonUnreachable, match="certificate is not trusted"):
        reach(f"https://127.0.0.1:{port}")
