"""`agentgw ingest` against a fake daemon: what it asks for, what it shows, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.commandline import Cli, Run, Terminal
from tests.client.fakedaemon import Failure, Peer, Serve
from tests.patience import PATIENCE_S

RESULT = {
    "added": 2, "updated": 1, "unchanged": 40, "chunks": 17, "failed": [], "failed_count": 0, "vanished": [],
    "vanished_count": 0, "removed": [], "removed_count": 0, "skipped": 3,
}  # fmt: skip
PROGRESS = {"files_done": 10, "files_total": 40, "chunks": 1234, "rate": 41.4, "eta_s": 72.0, "source": "/x/a.md"}
BAD = {"source": "/x/bad.pdf", "reason": "is encrypted"}


def test_a_folder_is_named_from_the_root_and_the_summary_is_the_answer(cli: Cli, serve: Serve) -> None:
    daemon = serve({"document.ingest": RESULT})
    status, out, err = cli("ingest", "notes", "/x/../y")
    assert (status, err) == (0, "")
    assert out == "2 added, 1 updated, 40 unchanged, 3 skipped; 17 new chunks\n"
    assert daemon.params("document.ingest") == {"paths": [os.path.abspath("notes"), "/y"]}


def test_all_that_is_asked_for_is_sent(cli: Cli, serve: Serve) -> None:
    daemon = serve({"document.ingest": RESULT})
    cli(
        "ingest", "/x", "--skills", "a", "--skills", "b", "--tags", "", "-c", "work", "--chunk-size", "100",
        "--exclude", "*.log", "--exclude", "/tmp/", "--prune", "--watch",
    )  # fmt: skip
    assert daemon.params("document.ingest") == {
        "paths": ["/x"], "skills": ["a", "b"], "tags": [], "collection": "work", "chunk_size": 100,
        "cwd": os.getcwd(),
        "exclude": ["*.log", "/tmp/"], "prune": True, "watch": True,
    }  # fmt: skip


def test_json_is_the_daemons_own(cli: Cli, serve: Serve) -> None:
    serve({"document.ingest": RESULT})
    assert json.loads(cli("ingest", "/x", "--json")[1]) == RESULT


def test_failures_are_listed_and_one_good_document_is_success(cli: Cli, serve: Serve) -> None:
    serve({"document.ingest": {**RESULT, "failed": [BAD], "failed_count": 3, "vanished_count": 5}})
    assert "5 documents have no file now, or one left out; --prune removes them" in cli("ingest", "/x")[2]
    status, out, err = cli("ingest", "/x", "-q")
    assert status == 0
    assert err == "agentgw: /x/bad.pdf: is encrypted\nagentgw: 2 more cannot be read\n"
    assert "3 failed" in out


def test_a_file_that_was_named_and_failed_is_a_failure_beside_good_ones(cli: Cli, serve: Serve) -> None:
    serve({"document.ingest": {**RESULT, "failed": [BAD], "failed_count": 1}})
    assert cli("ingest", "/x/good.txt", "/x/bad.pdf", "-q")[0] == 1
    assert cli("ingest", "/x/good.txt", "/x", "-q")[0] == 0


def test_what_was_not_read_as_it_stands_is_noted(cli: Cli, serve: Serve) -> None:
    serve({"document.ingest": {**RESULT, "notes": [{"source": "/x/a.pdf", "note": "3 pages have no text"}]}})
    assert cli("ingest", "/x")[2] == "agentgw: /x/a.pdf: 3 pages have no text\n"


def test_when_every_document_failed_it_fails(cli: Cli, serve: Serve) -> None:
    none = {"added": 0, "updated": 0, "unchanged": 0, "skipped": 0, "chunks": 0}
    serve({"document.ingest": {**RESULT, **none, "failed": [BAD], "failed_count": 1}})
    status, out, _ = cli("ingest", "/x")
    assert (status, out) == (1, "0 added, 0 unchanged, 1 failed; 0 new chunks\n")


def test_what_is_piped_in_is_a_text_with_a_name(agentgw: Run, serve: Serve) -> None:
    daemon = serve({"document.ingest": RESULT})
    assert agentgw("ingest", stdin="# ä\n").returncode == 0
    assert daemon.params("document.ingest") == {"text": "# ä\n", "source": "stdin"}
    assert agentgw("ingest", "-", "--source", "page.html", stdin="<p>").returncode == 0
    assert daemon.params("document.ingest") == {"text": "<p>", "source": "page.html"}


@pytest.mark.parametrize("data", [b"%PDF-\xff\x00", b"x" * 300_000])
def test_what_is_large_or_no_text_is_handed_over_as_a_private_file_that_goes(
    agentgw: Run, serve: Serve, tmp_path: Path, data: bytes
) -> None:
    seen: list[tuple[bytes, int]] = []

    def ingest(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        (path,) = params["paths"]
        seen.append((Path(path).read_bytes(), Path(path).stat().st_mode & 0o777))
        assert path.endswith(".pdf")
        assert params["source"] == "doc.pdf"
        return RESULT

    serve({"document.ingest": ingest})
    piped = tmp_path / "in"
    piped.write_bytes(data)
    copies = tmp_path / "copies"
    copies.mkdir()
    with piped.open() as stdin:
        done = subprocess.run(
            [sys.executable, "-m", "agentgw", "ingest", "--source", "doc.pdf"], stdin=stdin, capture_output=True,
            env={**os.environ, "TMPDIR": str(copies)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert seen == [(data, 0o600)]
    assert list(copies.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_copy_and_says_what_stays(serve: Serve, tmp_path: Path, number: int) -> None:
    asked = threading.Event()

    def ingest(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        peer.gone.wait(30)
        return RESULT

    serve({"document.ingest": ingest})
    with subprocess.Popen(
        [sys.executable, "-m", "agentgw", "ingest", "--source", "a.bin"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as child:  # fmt: skip
        assert child.stdin is not None
        child.stdin.write(b"\xff\xfe\x00")
        child.stdin.close()
        child.stdin = None
        assert asked.wait(30)
        child.send_signal(number)
        out, err = child.communicate(timeout=PATIENCE_S)
    assert (child.returncode, out) == (130, b"")
    assert err == b"agentgw: stopped; what is stored stays, and the same line again goes on from there\n"
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".bin"]


def test_a_name_that_is_not_utf8_travels_as_an_address(cli: Cli, serve: Serve) -> None:
    daemon = serve({"document.ingest": RESULT})
    cli("ingest", os.fsdecode(b"/x/caf\xe9 1"))
    assert daemon.params("document.ingest") == {"paths": ["file:///x/caf%E9%201"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-", "/x"), "standard input is stored alone"),
        (("-", "--watch"), "standard input cannot be followed"),
        (("/x", "--watch", "--unwatch"), "not allowed with"),
        (("--unwatch",), "which folder?"),
        (("/x", "--chunk-size", "many"), "invalid int value"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(cli: Cli, words: tuple[str, ...], said: str) -> None:
    status, out, err = cli("ingest", *words)
    assert (status, out) == (2, "")
    assert said in err


def test_nothing_to_store_is_said(agentgw: Run, terminal: Callable[..., Terminal]) -> None:
    assert "standard input is empty" in agentgw("ingest", stdin="").stderr
    shown = terminal("ingest")
    assert shown.end() == 2
    assert "there is nothing to store. try: agentgw ingest ~/notes" in shown.text


def test_on_a_terminal_a_bar_shows_how_far_it_is(terminal: Callable[..., Terminal], serve: Serve) -> None:
    def ingest(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.notify("document.progress", files_done=0, files_total=0, chunks=0)
        peer.notify("document.progress", **PROGRESS)
        return RESULT

    serve({"document.ingest": ingest})
    shown = terminal("ingest", "/x", columns=100)
    assert shown.end() == 0
    assert "looking for files" in shown.text
    assert "10/40 files ▕█████               ▏  1234 chunks  41 chunks/s  1m12s left  /x/a.md" in shown.text
    assert shown.text.endswith("17 new chunks\n")


def test_in_a_pipe_many_files_give_a_line_every_ten_percent(agentgw: Run, serve: Serve) -> None:
    def ingest(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        for done in range(41):
            peer.notify("document.progress", **{**PROGRESS, "files_done": done})
        return RESULT

    serve({"document.ingest": ingest})
    lines = agentgw("ingest", "/x").stderr.splitlines()
    assert len(lines) == 10
    assert lines[0] == "4/40 files  1234 chunks  41 chunks/s  1m12s left"
    assert agentgw("ingest", "/x", "-q").stderr == ""


def test_in_a_pipe_nothing_is_said_of_what_was_done_at_once(agentgw: Run, serve: Serve) -> None:
    def ingest(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.notify("document.progress", **{**PROGRESS, "files_done": 40})
        return RESULT

    serve({"document.ingest": ingest})
    assert agentgw("ingest", "/x").stderr == ""


def test_without_an_embedder_it_is_exit_4_with_the_command(agentgw: Run, serve: Serve) -> None:
    serve({"document.ingest": Failure(-32006, "there is no embedder", hint="run `agentgw pull e`", suggestion="e")})
    done = agentgw("ingest", "/x")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "agentgw: there is no embedder. run `agentgw pull e`\n"


def test_on_a_terminal_the_embedder_is_offered_and_the_ingest_goes_on(
    terminal: Callable[..., Terminal], serve: Serve
) -> None:
    pulled: list[str] = []

    def ingest(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        if not pulled:
            raise Failure(-32006, "there is no embedder", suggestion="all-minilm-l6-v2")
        return RESULT

    def pull(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        pulled.append(params["model"])
        return {"name": params["model"]}

    serve({"document.ingest": ingest, "model.pull": pull, "model.list": {"models": []}})
    shown = terminal("ingest", "/x")
    shown.wait_for("Pull all-minilm-l6-v2? [Y/n] ")
    shown.type("y\n")
    assert shown.end() == 0
    assert pulled == ["all-minilm-l6-v2"]
    assert "2 added" in shown.text


def test_followed_folders_are_listed_and_let_go(cli: Cli, serve: Serve) -> None:
    folder = {
        "path": "/x", "collection": "default", "state": "missing", "since": "2026-01-01T00:00:00Z", "skills": [],
        "tags": [], "exclude": [], "error": "is not there",
    }  # fmt: skip
    daemon = serve({"document.watched": {"folders": [folder]}, "document.unwatch": {"ok": True}})
    assert cli("ingest", "--watched")[1].splitlines()[1].split() == [
        "/x", "default", "missing", "is", "not", "there",
    ]  # fmt: skip
    assert json.loads(cli("ingest", "--watched", "--json")[1]) == {"folders": [folder]}
    status, out, err = cli("ingest", "--unwatch", "/x")
    assert (status, out, err) == (0, "", "agentgw: /x is followed no more; its documents stay\n")
    assert daemon.params("document.unwatch") == {"path": "/x"}


@pytest.mark.parametrize("words", [("",), ("notes", ""), ("--watch", ""), ("--unwatch", "")])
def test_an_empty_path_stores_and_follows_nothing(cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
    daemon = serve({"document.ingest": RESULT, "document.unwatch": {"ok": True}})
    status, out, err = cli("ingest", *words)
    assert (status, out, err) == (2, "", "agentgw: a path is empty. `.` is the directory that you are in\n")
    assert not {"document.ingest", "document.unwatch"} & set(daemon.methods())


@pytest.mark.parametrize("option", ["--skills", "--tags"])
def test_an_empty_name_among_others_is_refused_and_alone_is_none(
    cli: Cli, serve: Serve, tmp_path: Path, option: str
) -> None:
    daemon = serve({"document.ingest": {"added": 0, "updated": 0, "unchanged": 1, "chunks": 0}})
    for given in (",", "a,,b", "a,"):
        assert cli("ingest", str(tmp_path), option, given)[2].startswith(f"agentgw: {option} has an empty word.")
    assert "document.ingest" not in daemon.methods()
    cli("ingest", str(tmp_path), option, "")
    assert daemon.params("document.ingest")[option.removeprefix("--")] == []
