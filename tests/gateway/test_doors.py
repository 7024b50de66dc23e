"""The sockets that HTTP is spoken on."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentgw.local.directories import prepare
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths
from agentgw.protocol.errors import AlreadyRunning, ConfigRefused
from agentgw_daemon.config import load as config
from agentgw_daemon.config.load import Config
from agentgw_daemon.config.settings import HttpSection
from agentgw_daemon.gateway.doors import hosts_of, open_doors
from agentgw_daemon.text.secrets import Secrets


@dataclass
class StartedForDoors:
    """Of a daemon that starts: what its doors depend on."""

    paths: Paths
    config: Config
    environ: Mapping[str, str]
    flags: Mapping[str, Any]
    secrets: Secrets = field(default_factory=Secrets)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(Environment({"AGENTGW_HOME": str(tmp_path / "h")}))
    prepare(made)
    return made


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def starting(
    paths: Paths, http: Mapping[str, Any], *, flags: Mapping[str, Any] | None = None, key: str = ""
) -> StartedForDoors:
    lines = "".join(f"{name} = {value!r}\n" for name, value in http.items())
    Path(paths.config_file).write_text(f"[http]\nenabled = true\n{lines}")
    environ = {"AGENTGW_API_KEY": key} if key else {}
    loaded = config.load(paths.config_file, environ, flags)
    return StartedForDoors(paths, loaded, environ, flags or {})


def test_the_socket_is_for_its_user_alone_and_gone_at_the_end(paths: Paths) -> None:
    place = Path(paths.http_socket)
    with open_doors(starting(paths, {})) as doors:
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert [one.door.name for one in doors.open] == ["unix"]
        assert doors.status.address is None
    assert not place.exists()


def test_a_socket_that_another_daemon_put_there_stays(paths: Paths) -> None:
    place = Path(paths.http_socket)
    with open_doors(starting(paths, {})), socket.socket(socket.AF_UNIX) as other:
        place.unlink()
        other.bind(str(place))
    assert place.exists()


def test_a_dead_socket_is_replaced(paths: Paths) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(paths.http_socket)
    with open_doors(starting(paths, {})), socket.socket(socket.AF_UNIX) as client:
        client.connect(paths.http_socket)


def test_a_port_asks_for_a_key_that_is_kept_from_every_log(paths: Paths) -> None:
    started = starting(paths, {"port": 0})
    with open_doors(started) as doors:
        tcp = doors.open[1]
        port = tcp.listening.getsockname()[1]
        assert doors.status.address == f"http://127.0.0.1:{port}"
        assert doors.status.key_file == paths.http_key_file
        assert tcp.door.key_digest is not None
        assert f"127.0.0.1:{port}" in (tcp.door.hosts or ())
    key = Path(paths.http_key_file).read_text().strip()
    assert started.secrets.redact(f"the key is {key}") == "the key is ***"


def test_the_environments_key_is_taken_and_no_file_made(paths: Paths) -> None:
    with open_doors(starting(paths, {"port": 0}, key="a-key-from-the-environment")) as doors:
        assert doors.status.key_file is None
    assert not Path(paths.http_key_file).exists()


def test_a_taken_port_of_the_configuration_is_told_and_the_socket_serves(paths: Paths, taken: int) -> None:
    with open_doors(starting(paths, {"port": taken})) as doors:
        assert [one.door.name for one in doors.open] == ["unix"]
        assert f"127.0.0.1:{taken} is taken" in (doors.status.error or "")


def test_a_taken_port_that_was_asked_for_by_a_flag_is_an_error(paths: Paths, taken: int) -> None:
    flags = {"http.enabled": True, "http.port": taken}
    with pytest.raises(AlreadyRunning, match="is taken"), open_doors(starting(paths, {}, flags=flags)):
        pass
    assert not Path(paths.http_socket).exists()


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_an_error(paths: Paths, host: str) -> None:
    flags = {"http.host": host, "http.port": 0}
    with pytest.raises(ConfigRefused), open_doors(starting(paths, {}, flags=flags)):
        pass


def test_listening_everywhere_is_warned_of_and_allows_no_further_name(
    paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    with open_doors(starting(paths, {"port": 0, "host": "0.0.0.0"})) as doors:
        hosts = doors.open[1].door.hosts or frozenset()
    assert "WARNING: HTTP listens on http://0.0.0.0" in caplog.text
    assert {name.rpartition(":")[0] for name in hosts} == {"127.0.0.1", "localhost", "[::1]"}


def test_a_short_key_is_warned_of(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    with open_doors(starting(paths, {"port": 0}, key="secret")):
        assert "can be guessed" in caplog.text
        assert "secret;" not in caplog.text


@pytest.mark.parametrize(
    ("http", "port", "known", "unknown"),
    [
        (HttpSection(), 8080, "localhost:8080", "localhost"),
        (HttpSection(), 80, "localhost", "localhost:8080"),
        (HttpSection(host="192.168.1.5"), 8080, "192.168.1.5:8080", "192.168.1.6:8080"),
        (HttpSection(host="fd00::1"), 8080, "[fd00::1]:8080", "fd00::1:8080"),
        (HttpSection(host="0.0.0.0"), 8080, "127.0.0.1:8080", "0.0.0.0:8080"),
        (HttpSection(allow_hosts=("Agent.example",)), 8080, "agent.example", "other.example"),
        (HttpSection(allow_hosts=("agent.example",)), 8080, "agent.example:8080", "agent.example:80"),
        (HttpSection(allow_hosts=("agent.example:443",)), 8080, "agent.example:443", "agent.example"),
    ],
)
def test_the_names_that_a_request_may_give(http: HttpSection, port: int, known: str, unknown: str) -> None:
    hosts = hosts_of(http, port)
    assert known in hosts
    assert unknown not in hosts


def test_a_name_that_was_lost_is_made_again_and_gone_at_the_end(paths: Paths) -> None:
    place = Path(paths.http_socket)
    with open_doors(starting(paths, {})) as doors:
        assert not doors.name.is_missing
        place.unlink()
        assert doors.name.is_missing
        with doors.name.publish(), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(place))
            assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert not place.exists()
