"""Events reach their receiver whatever happens to the daemon, with the real binary."""

from __future__ import annotations

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest
from standardwebhooks.webhooks import Webhook

from tests.e2e.home import Home, until
from tests.patience import PATIENCE_S
from tests.webhooks.receiver import SECRET

pytestmark = pytest.mark.e2e


class Receiver:
    """Takes so many events as `accepts` says; whoever sends more waits until it is killed."""

    def __init__(self) -> None:
        #: All that came, accepted or not: the id and the payload.
        self.came: list[tuple[str, dict[str, Any]]] = []
        self.accepts = 0
        #: A token for each sender that is kept waiting.
        self.held: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                receiver.came.append((self.headers["webhook-id"], Webhook(SECRET).verify(body, dict(self.headers))))
                if receiver.accepts <= 0:
                    receiver.held.put(None)
                    receiver._ended.wait()
                    return
                receiver.accepts -= 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def entry(self) -> str:
        url = f"http://127.0.0.1:{self._server.server_port}/in"
        return f"  - name: ours\n    url: {url}\n    allow_local: true\n    events: '*'\n    secret: {SECRET}\n"


def configure(home: Home, *entries: str) -> None:
    home.configure("")
    file = home.path / "config" / "webhooks.yaml"
    file.touch(mode=0o600)
    file.write_text("webhooks:\n" + "".join(entries))


def test_each_event_comes_at_least_once_under_one_id_in_order_whenever_the_daemon_is_killed(home: Home) -> None:
    expected: list[tuple[str, str]] = []
    with Receiver() as receiver:
        configure(home, receiver.entry)
        for number in range(4):
            receiver.accepts = 2
            turn = json.loads(home.ask("run", "-m", "echo", "--json", f"number {number}"))
            session = turn["session_id"]
            expected += [(event, session) for event in ("session.created", "agent.started", "agent.completed")]
            receiver.held.get(timeout=PATIENCE_S)
            home.kill_daemon()
        receiver.accepts = 1000
        (hook,) = until(
            lambda: [one for one in home.call("webhook.list")["webhooks"] if one["pending"] == 0], "all is delivered"
        )
    first: dict[str, dict[str, Any]] = {}
    for event_id, payload in receiver.came:
        assert first.setdefault(event_id, payload) == payload
    assert [(payload["event"], payload["data"]["session_id"]) for payload in first.values()] == expected
    # Those that were under way when the daemon was killed came again.
    assert len(receiver.came) > len(expected)
    assert {one["state"] for one in hook["deliveries"]} == {"delivered"}
    assert SECRET[6:] not in home.log + json.dumps(hook)


def test_the_command_says_whether_a_receiver_accepts(home: Home) -> None:
    with Receiver() as receiver:
        receiver.accepts = 1
        bad = "  - name: bad\n    url: https://example.org\n    events: [agent.start]\n"
        configure(home, receiver.entry, bad)
        done = home.run("webhooks", "test", "ours")
        assert (done.status, done.out.startswith("accepted: status 204, ")) == (0, True)
        ((_, payload),) = receiver.came
        assert (payload["event"], payload["data"]) == ("webhook.test", {"webhook": "ours"})
    done = home.run("webhooks", "test", "ours")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("agentgw: webhook ours did not accept the test event: 127.0.0.1: ")
    done = home.run("webhooks", "--list")
    assert done.status == 0
    assert "webhook.test" in done.out
    assert "webhooks.yaml:9: bad: events: there is no event 'agent.start'; did you mean agent.started?" in done.err
    assert home.run("webhooks", "test", "bad").status == 1
