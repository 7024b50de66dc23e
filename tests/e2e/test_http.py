"""HTTP by the real binary and curl: the lines of the predecessor's documentation, and the way down."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from typing import Any

import pytest

from tests.e2e.home import KEY, Home, until
from tests.patience import PATIENCE_S, Stopwatch

pytestmark = pytest.mark.e2e

CURL = ("curl", "-s", "--max-time", "30")
JSON = ("-H", "Content-Type: application/json")


class Site:
    """A daemon that speaks HTTP, and curl."""

    def __init__(self, home: Home, daemon: subprocess.Popen[bytes]) -> None:
        self.home = home
        self.daemon = daemon
        self.address = re.findall(r"HTTP on (http://\S+);", home.log)[-1]

    def curl(self, *words: str, key: str = KEY) -> str:
        """The output of curl for a path and more words."""
        path, *more = words
        bearer = ("-H", f"Authorization: Bearer {key}") if key else ()
        done = subprocess.run([*CURL, *bearer, *more, f"{self.address}{path}"], capture_output=True, timeout=PATIENCE_S)
        assert done.returncode == 0, (words, done)
        return done.stdout.decode()

    def json(self, *words: str, key: str = KEY) -> Any:
        """The same as a JSON value."""
        return json.loads(self.curl(*words, key=key))

    def port(self) -> int:
        """Of the address."""
        return int(self.address.rpartition(":")[2])


@pytest.fixture(scope="module")
def site(shared_home: Home) -> Site:
    environ = {"AGENTGW_API_KEY": KEY}
    return Site(shared_home, shared_home.serve("--host", "127.0.0.1", "--port", "0", environ=environ))


def test_the_documented_lines_of_the_predecessor_work(site: Site) -> None:
    assert site.json("/health", key="") == {"status": "ok"}
    status = site.json("/daemon/status")
    assert status["status"] == "running"
    assert {"enabled", "jobs_count", "jobs"} <= status["scheduler"].keys()
    assert {"llm_provider", "llm_model"} <= status["service"].keys()
    names = [skill["name"] for skill in site.json("/api/skills")["skills"]]
    assert "general-assistant" in names
    body = '{"skill_name": "general_assistant", "message": "Hello over HTTP", "model": "echo"}'
    run = site.json("/api/run", "-X", "POST", *JSON, "-d", body)
    assert (run["text"], run["finish_reason"]) == ("Hello over HTTP", "stop")
    stream = site.curl("/api/chat", "-N", "-X", "POST", *JSON, "-d", body)
    assert re.findall(r"^id: (\d+)$", stream, re.MULTILINE) == [str(n) for n in range(1, 6)]
    assert re.findall(r"^event: (\S+)$", stream, re.MULTILINE)[-1] == "result"
    sessions = site.json("/api/sessions")["sessions"]
    messages = site.json(f"/api/sessions/{sessions[0]['session_id']}/messages")["messages"]
    assert [one["role"] for one in messages] == ["user", "assistant"]
    feedback = json.dumps({"session_id": sessions[0]["session_id"], "rating": 1})
    assert site.json("/api/feedback", *JSON, "-d", feedback)["rating"] == 1
    assert site.json("/api/route", *JSON, "-d", '{"message": "fix this bug", "skill_name": "x"}')["skills"]
    assert site.json("/api/tools/current_time/execute", *JSON, "-d", "{}")["ok"] is True
    for path in ("/api/documents", "/api/config", "/api/tools", "/api/stats", "/api/jobs", "/openapi.json"):
        assert "error" not in site.json(path), path
    assert "<table>" in site.curl("/docs")
    assert "agentgw_stored_turns" in site.curl("/metrics")


def test_a_turn_is_seen_again_from_any_event(site: Site) -> None:
    turn = site.json("/api/run", *JSON, "-d", '{"message": "one two three", "model": "echo"}')
    path = f"/api/turns/{turn['turn_id']}/events"
    again = site.curl(path, "-N", "-H", "Last-Event-ID: 3")
    assert re.findall(r"^id: (\d+)$", again, re.MULTILINE) == ["4", "5"]
    assert json.loads(again.rpartition("data: ")[2])["text"] == "one two three"


def test_a_page_of_another_site_and_who_has_no_key_get_nothing(site: Site) -> None:
    form = site.json("/api/run", "-d", "message=x", "-H", "Origin: http://evil.com")
    assert form["error"]["name"] == "OriginRefused"
    rebound = site.json("/api/skills", "-H", f"Host: evil.com:{site.port()}")
    assert "http.allow_hosts" in rebound["error"]["hint"]
    assert site.json("/api/skills", key="")["error"]["code"] == 401
    assert site.json("/api/skills", key="wrong")["error"]["code"] == 401


def test_the_socket_needs_no_key(site: Site) -> None:
    place = str(site.home.path / "run" / "http.sock")
    done = subprocess.run([*CURL, "--unix-socket", place, "http://localhost/api/skills"], capture_output=True)
    assert json.loads(done.stdout)["skills"]


def test_the_log_has_a_line_for_each_request_and_no_key(site: Site) -> None:
    site.curl("/api/search?query=canarywords")
    # It says how long the answer took to leave, so it comes after the client has all of it.
    until(lambda: "door=tcp method=GET route=/api/search status=" in site.home.log, "the request is noted")
    assert "canarywords" not in site.home.log
    assert KEY not in site.home.log


def test_status_shows_both_doors(site: Site) -> None:
    shown = site.home.ask("status")
    assert site.address in shown
    assert "http.sock" in shown


def test_curl_that_leaves_cancels_its_turn(model_home: Home) -> None:
    model_home.serve("--http")
    place = str(model_home.path / "run" / "http.sock")
    body = json.dumps({"message": "Count from 1 to 500: 1, 2, 3,", "system": "", "options": {"temperature": 0}})
    with subprocess.Popen(
        [*CURL, "-N", "--unix-socket", place, *JSON, "-d", body, "http://localhost/api/chat"], stdout=subprocess.PIPE
    ) as curl:
        assert curl.stdout is not None
        assert any(b"turn.delta" in line for line in curl.stdout)
        curl.kill()
    until(lambda: model_home.call("turn.list")["turns"][0]["state"] == "cancelled", "the turn is cancelled")


def test_a_stop_does_not_wait_for_a_client_that_never_reads(home: Home) -> None:
    home.configure("[limits]\nshutdown_s = 4\n")
    daemon = home.serve("--http")
    body = json.dumps({"message": "words " * 60_000, "model": "echo"}).encode()
    with socket.socket(socket.AF_UNIX) as reader:
        reader.connect(str(home.path / "run" / "http.sock"))
        head = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        reader.sendall(f"POST /api/chat HTTP/1.1\r\n{head}\r\n".encode() + body)
        assert b"200 OK" in reader.recv(1000)
        watch = Stopwatch()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE_S) == 0
        assert watch.seconds() < 5
    assert not (home.path / "run" / "http.sock").exists()


def test_a_port_that_is_taken_is_one_line_and_a_status(home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = home.run("serve", "--port", port)
        assert done.status == 75
        assert f"the HTTP port 127.0.0.1:{port} is taken" in done.err.splitlines()[-1]
        assert "Traceback" not in done.err
        # The daemon's own socket needs no port.
        home.configure(f"[http]\nenabled = true\nport = {port}\n")
        assert "is taken" in home.call("daemon.status")["http"]["error"]


def test_the_old_spelling_warns_and_serves(home: Home) -> None:
    child = home.start("web", "--port", "0")
    until(lambda: "serving on" in home.log, "the daemon serves")
    (address,) = re.findall(r"HTTP on (http://\S+);", home.log)
    assert subprocess.run([*CURL, f"{address}/health"], capture_output=True).stdout == b'{"status":"ok"}\n'
    child.send_signal(signal.SIGTERM)
    assert "old spelling" in home.finish(child).err.splitlines()[0]


def test_without_http_there_are_no_doors_and_no_key(home: Home) -> None:
    home.daemon()
    assert "http" not in home.call("daemon.status")
    assert not (home.path / "run" / "http.sock").exists()
    assert not (home.path / "state" / "http.key").exists()
