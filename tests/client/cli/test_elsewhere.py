"""The command line while AGENTGW_URL names the daemon of another machine, which a bridge without ssh stands for."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli.commands import daemon_path, working_directory
from agentgw.protocol.errors import UsageError
from tests.client.commandline import Cli
from tests.client.fakedaemon import FakeDaemon, Peer, Serve
from tests.client.remote.sshd import install


@pytest.fixture
def there(home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDaemon:
    """A daemon over there, and nothing here."""
    install(tmp_path / "bin", monkeypatch)
    monkeypatch.setenv("AGENTGW_URL", "ssh://laptop")
    uploads: dict[str, bytes] = {}

    def upload(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        upload_id = params.get("upload_id") or f"u-{len(uploads):016x}"
        uploads[upload_id] = uploads.get(upload_id, b"") + base64.b64decode(params["data"])
        return {"upload_id": upload_id, "size_bytes": len(uploads[upload_id])}

    def ingest(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        stored[params["source"]] = uploads[params["upload"]]
        return {"added": 1, "updated": 0, "unchanged": 0, "chunks": 2, "skipped": 0}

    stored: dict[str, bytes] = {}
    made = serve(
        {
            "turn.start": lambda peer, params: peer.delta("hi") or {"text": "hi", "finish_reason": "stop"},
            "session.list": {"sessions": [{"session_id": "s1"}]},
            "daemon.backup": {"path": "/srv/x.db", "size_bytes": 1},
            "document.upload": upload, "document.ingest": ingest, "document.delete": {"documents": 1, "chunks": 1},
            "daemon.doctor": {"findings": []}, "job.list": {"jobs": []},
        }
    )  # fmt: skip
    made.answers["stored"] = stored
    return made


def test_an_answer_comes_from_there_and_no_directory_of_here_goes_along(cli: Cli, there: FakeDaemon) -> None:
    assert cli("run", "hello") == (0, "hi\n", "")
    assert "cwd" not in there.params("turn.start")


def test_the_last_session_is_that_of_the_daemon(cli: Cli, there: FakeDaemon) -> None:
    assert cli("run", "-c", "more")[0] == 0
    assert there.params("session.list") == {"limit": 1}
    assert there.params("turn.start")["session_id"] == "s1"


@pytest.mark.parametrize(
    "words",
    [("start",), ("stop",), ("restart",), ("serve",), ("web",), ("service", "install"), ("logs",), ("config", "path"),
     ("config", "edit")],
)  # fmt: skip
def test_what_is_about_this_machine_says_so(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AGENTGW_URL", "https://gw.example")
    status, out, err = cli(*words)
    assert (status, out) == (2, "")
    assert err.startswith(f"agentgw: `agentgw {' '.join(words)}` is about this machine")
    assert not home.exists()


def test_help_needs_no_daemon_anywhere(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTGW_URL", "https://gw.example")
    assert cli("stop", "--help")[0] == 0


def test_paths_for_the_daemon_are_the_daemons(cli: Cli, there: FakeDaemon) -> None:
    assert cli("backup", "/srv/../srv/x.db")[0] == 0
    assert there.params("daemon.backup")["path"] == "/srv/x.db"
    status, _, err = cli("backup", "x.db")
    assert status == 2
    assert "begins in a directory of this machine" in err


def test_here_a_path_is_taken_from_the_working_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert daemon_path("x") == "/x"
    assert working_directory() == "/"
    monkeypatch.setenv("AGENTGW_URL", "ssh://laptop")
    assert working_directory() is None
    with pytest.raises(UsageError, match="the daemon is on another"):
        daemon_path("x")


def test_status_tells_why_there_is_no_answer(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTGW_URL", "http://127.0.0.1:1")
    status, out, err = cli("status")
    assert (status, out) == (3, "")
    assert "http://127.0.0.1:1 cannot be reached" in err


def test_doctor_asks_the_daemon_there_alone(cli: Cli, there: FakeDaemon) -> None:
    status, out, _ = cli("doctor")
    assert status == 0
    assert "version 4.0.0.dev0 answers at ssh://laptop" in out
    assert out.endswith("1 checks, 0 errors, 0 warnings\n")


def test_files_are_read_here_and_sent(cli: Cli, there: FakeDaemon, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    large = bytes(range(256)) * 4096
    (folder / "a.md").write_text("one")
    (folder / "deep" / "b.pdf").write_bytes(large)
    status, out, err = cli("ingest", str(folder))
    assert (status, out) == (0, "2 added, 0 unchanged; 4 new chunks\n")
    stored = there.answers["stored"]
    assert {name.partition(":")[2]: data for name, data in stored.items()} == {
        f"{folder}/a.md": b"one", f"{folder}/deep/b.pdf": large,
    }  # fmt: skip
    assert f"2/2 {folder}/deep/b.pdf" in err


def test_one_file_may_be_given_a_name(cli: Cli, there: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("one")
    assert cli("ingest", str(tmp_path / "x"), "--source", "rent.md")[0] == 0
    assert there.answers["stored"] == {"rent.md": b"one"}


def test_a_file_that_cannot_be_read_leaves_the_others(cli: Cli, there: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one")
    (tmp_path / "folder.md").symlink_to("/dev/null")
    status, out, err = cli("ingest", str(tmp_path / "folder.md"), str(tmp_path / "a.md"))
    assert (status, out) == (1, "1 added, 0 unchanged, 1 failed; 2 new chunks\n")
    assert "folder.md is not a file" in err


def test_what_needs_the_folder_over_there_is_refused(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTGW_URL", "https://gw.example")
    for flag in ("--watch", "--prune"):
        status, _, err = cli("ingest", "x", flag)
        assert status == 2
        assert f"{flag} needs the folder where the daemon is" in err


def test_what_was_sent_can_be_deleted_by_its_path(cli: Cli, there: FakeDaemon, tmp_path: Path) -> None:
    assert cli("delete-documents", "--source", str(tmp_path / "x"), "--yes")[0] == 0
    sources = there.params("document.delete")["sources"]
    assert sources[0] == str(tmp_path / "x")
    assert sources[1].endswith(f":{tmp_path}/x")


def test_a_path_of_a_socket_is_the_daemon_of_this_machine(
    cli: Cli, serve: Serve, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    daemon = serve({"turn.start": lambda peer, params: peer.delta("hi") or {"text": "hi"}})
    monkeypatch.setenv("AGENTGW_URL", f"unix://{home}/run/agentgw%2Esock")
    monkeypatch.setenv("AGENTGW_HOME", str(tmp_path / "other"))
    monkeypatch.chdir(tmp_path)
    assert cli("run", "hello") == (0, "hi\n", "")
    assert daemon.params("turn.start")["cwd"] == str(tmp_path)
