"""One try: where it may go, what it carries, and what is made of the answer."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
import trio
from standardwebhooks.webhooks import Webhook
from trio.testing import MockClock

from agentgw_daemon.system.ids import seconds_of
from agentgw_daemon.webhooks import sending
from agentgw_daemon.webhooks.hook import Hook
from agentgw_daemon.webhooks.sending import (
    BACKOFF_S,
    MAX_REPLY_BYTES,
    MAX_RETRY_AFTER_S,
    TRY_S,
    Sender,
    Sent,
    attempt_of,
    retry_after_s,
)
from tests.webhooks.receiver import SECRET, SILENCE, Network, Receiver, hook, receiving, reply

pytestmark = pytest.mark.anyio

# Stands still until it is told to jump.
CLOCK = MockClock()

BODY = '{"event":"agent.started","timestamp":"now","data":{}}'


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def local(receiver: Receiver, **more: object) -> Hook:
    return hook(url=f"http://127.0.0.1:{receiver.port}/in?a=b", allow_local=True, **more)


async def send(to: Hook, network: Network | None = None) -> Sent:
    return await Sender(network, ssl.create_default_context).send(to, "e-1", "agent.started", BODY)


async def test_a_receiver_gets_what_was_signed(receiver: Receiver) -> None:
    assert (await send(local(receiver))).accepted
    ((headers, body),) = receiver.requests
    assert headers[""] == "POST /in?a=b HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["content-type"] == "application/json"
    assert headers["x-agentgw-event"] == "agent.started"
    assert body.decode() == BODY
    assert Webhook(SECRET).verify(body, headers) == {"event": "agent.started", "timestamp": "now", "data": {}}
    assert SECRET[6:] not in str(headers)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "224.0.0.1", "0.0.0.0", "::", "::1",
     "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "fd00:ec2::254", "93.184.216.34 127.0.0.1"],
)  # fmt: skip
async def test_no_connection_to_an_address_that_is_not_public(address: str) -> None:
    network = Network(receiver_test=address)
    sent = await send(hook(), network)
    assert "is not on the public internet" in (sent.error or "")
    assert network.connected == []


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "2130706433", "017700000001", "localhost", "[::1]", "[::]", "[::ffff:10.0.0.1]", "0"]
)
async def test_the_real_resolver_leads_nowhere_near(host: str) -> None:
    sent = await Sender().send(hook(url=f"https://{host}/"), "e-1", "agent.started", BODY)
    assert sent.error is not None
    assert sent.status is None


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "100.64.0.1", "0.0.0.0", "::", "224.0.0.1", "fe80::1", "::ffff:127.0.0.1", "fd00:ec2::254",
     "127.0.0.1 169.254.169.254"],
)  # fmt: skip
async def test_a_local_receiver_is_no_machine_of_the_cloud(address: str) -> None:
    for url in ("http://receiver.test/", "https://receiver.test/"):
        network = Network(receiver_test=address)
        sent = await send(hook(url=url, allow_local=True), network)
        assert " is not on this machine" in (sent.error or "")
        assert network.connected == []


async def test_plain_http_goes_no_further_than_a_private_network(receiver: Receiver) -> None:
    network = Network(receiver.port, receiver_test="93.184.216.34")
    sent = await send(hook(url="http://receiver.test/", allow_local=True), network)
    assert "https it is" in (sent.error or "")
    assert network.connected == []
    network = Network(receiver.port, receiver_test="192.168.1.5")
    assert (await send(hook(url="http://receiver.test/", allow_local=True), network)).accepted
    assert (network.connected, network.resolved) == (["192.168.1.5"], ["receiver.test"])


async def test_plain_http_without_the_word_for_it_is_not_sent(receiver: Receiver) -> None:
    network = Network(receiver.port, receiver_test="127.0.0.1")
    assert "must begin with https://" in ((await send(hook(url="http://receiver.test/"), network)).error or "")
    assert network.resolved == []


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [reply("302 Found", f"Location: http://127.0.0.1:{receiver.port}/other")]
    sent = await send(local(receiver))
    assert (sent.status, sent.error) == (302, "status 302: redirects are not followed")
    assert len(receiver.requests) == 1


async def test_only_so_much_of_an_answer_is_read(receiver: Receiver) -> None:
    receiver.answers = [reply("200 OK", body=b"x" * (4 * MAX_REPLY_BYTES)), reply("200 OK")]
    assert (await send(local(receiver))).accepted
    assert (await send(local(receiver))).accepted


async def test_a_body_that_never_ends_does_not_undo_the_status(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_BODY_S", 0.05)
    receiver.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n..."]
    assert (await send(local(receiver))).accepted


@pytest.mark.parametrize("answer", [b"SSH-2.0\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000, b"\0" * 100])
async def test_what_is_no_http_is_a_failure(receiver: Receiver, answer: bytes) -> None:
    receiver.answers = [answer]
    sent = await send(local(receiver))
    assert sent.status is None
    assert sent.error


async def test_a_receiver_that_says_nothing_is_given_up(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TRY_S", 0.2)
    receiver.answers = [b"..."]
    assert (await send(local(receiver))).error == "no answer within 0.2 s"


async def test_who_speaks_no_tls_is_told_nothing(receiver: Receiver) -> None:
    sent = await send(hook(), Network(receiver.port, receiver_test="93.184.216.34"))
    assert (sent.status, sent.error) == (None, "receiver.test: wrong version number")
    assert receiver.requests == []


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": CLOCK})], ids=["standing"])
async def test_a_handshake_that_never_ends_leaves_no_socket_open(receiver: Receiver) -> None:
    receiver.answers = [SILENCE]

    async def let_the_time_run_out() -> None:
        await receiver.greeted.wait()
        CLOCK.jump(TRY_S)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(let_the_time_run_out)
        sent = await send(hook(), Network(receiver.port, receiver_test="93.184.216.34"))
    assert sent.error == "no answer within 30 s"
    await receiver.hung_up.wait()


async def test_nobody_there(receiver: Receiver) -> None:
    sent = await send(hook(), Network(1, receiver_test="93.184.216.34"))
    assert (sent.status, sent.gone, sent.accepted) == (None, False, False)


def test_three_tries_and_longer_pauses() -> None:
    failed = Sent(status=500, error="status 500")
    first, second = attempt_of(failed, 0, 1000.0), attempt_of(failed, 1, 1000.0)
    assert [seconds_of(one.retry_at or "") - 1000 for one in (first, second)] == list(BACKOFF_S)
    assert (first.state, second.state, attempt_of(failed, 2, 1000.0).state) == ("pending", "pending", "failed")
    assert attempt_of(Sent(status=200), 2, 1000.0).state == "delivered"
    assert attempt_of(Sent(status=410, error="status 410"), 0, 1000.0).state == "failed"


def test_a_receiver_may_ask_for_more_time_within_a_bound() -> None:
    asked = attempt_of(Sent(status=429, error="status 429", retry_after_s=300), 0, 1000.0)
    assert seconds_of(asked.retry_at or "") == 1300.0
    assert retry_after_s("120", 0.0) == 120.0
    assert retry_after_s("Thu, 01 Jan 1970 00:01:40 GMT", 40.0) == 60.0
    for text, seconds in (
        ("99999999999", MAX_RETRY_AFTER_S), ("-5", 0.0), ("soon", 0.0), ("", 0.0), ("1e9", 0.0), ("nan", 0.0),
        ("Mon, 99 Foo 2026 25:61:00 GMT", 0.0), ("٣", 0.0), ("9" * 400, 0.0),
    ):  # fmt: skip
        assert retry_after_s(text, 0.0) == seconds, text


async def test_only_some_statuses_may_ask_for_time(receiver: Receiver) -> None:
    receiver.answers = [reply("429 Too Many Requests", "Retry-After: 60"), reply("500 Oops", "Retry-After: 60")]
    assert (await send(local(receiver))).retry_after_s == 60.0
    assert (await send(local(receiver))).retry_after_s == 0.0
