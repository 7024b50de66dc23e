from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgw.protocol.calls.daemon import HttpStatus
from agentgw_daemon.config.settings import HttpSection
from agentgw_daemon.doctor.http import http_verdicts


def verdicts(status: HttpStatus | None, **http: Any) -> list[tuple[str, str]]:
    return [(one.severity, one.message) for one in http_verdicts(HttpSection(**http), status)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "http.sock").touch()
    (tmp_path / "http.key").touch(0o600)
    return tmp_path


def status(place: Path, **more: Any) -> HttpStatus:
    return HttpStatus(socket=str(place / "http.sock"), **more)


def test_no_http_is_fine_unless_it_waits_for_a_restart() -> None:
    assert verdicts(None) == [("ok", "no HTTP is served")]
    assert verdicts(None, enabled=True) == [("info", "http.enabled holds from the next start")]


def test_doors_that_are_open_are_fine(place: Path) -> None:
    answers = status(place, address="http://127.0.0.1:8080", key_file=str(place / "http.key"))
    assert verdicts(answers, enabled=True, port=8080) == [("ok", "HTTP answers on http://127.0.0.1:8080")]
    assert verdicts(status(place)) == [("ok", f"HTTP answers on {place}/http.sock")]


def test_a_port_that_is_taken_is_an_error(place: Path) -> None:
    assert verdicts(status(place, error="the HTTP port 127.0.0.1:80 is taken by another program")) == [
        ("error", "HTTP has no port: the HTTP port 127.0.0.1:80 is taken by another program")
    ]


def test_a_key_that_others_may_read_is_an_error(place: Path) -> None:
    (place / "http.key").chmod(0o640)
    (found, _) = verdicts(status(place, key_file=str(place / "http.key")))
    assert found == ("error", f"{place}/http.key is open to others, who may have read the key")


def test_a_key_or_a_socket_that_is_gone_is_told(place: Path) -> None:
    (place / "http.key").unlink()
    (place / "http.sock").unlink()
    found = verdicts(status(place, key_file=str(place / "http.key")))
    assert [severity for severity, _ in found] == ["warning", "warning", "ok"]


def test_a_port_that_strangers_reach_is_warned_of(place: Path) -> None:
    found = verdicts(status(place, address="http://0.0.0.0:8080"), host="0.0.0.0", port=8080)
    assert found[0][0] == "warning"
    assert "0.0.0.0: other machines can try its key" in found[0][1]
