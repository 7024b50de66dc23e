from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import agentgw
from agentgw import AgentGWClient
from agentgw.protocol.errors import ConfigRefused, NotFound, Timeout, UsageError, VersionMismatch
from tests.client.api.answers import RESULT, Silence, answer
from tests.client.fakedaemon import Failure, Peer, Serve
from tests.client.remote.sshd import install
from tests.patience import PATIENCE_S


def test_a_chat_gives_the_pieces_of_the_answer_and_then_its_result(home: Path, serve: Serve) -> None:
    daemon = serve({"turn.start": answer})
    with AgentGWClient() as client:
        chat = client.chat("hi", skill="s", options={"seed": 1}, approve=["read_file"])
        assert list(chat) == ["one ", "two"]
        assert (chat.turn_id, chat.session_id) == ("turn1", "session1")
        assert chat.result is not None
        assert (chat.result.text, chat.result.finish_reason) == ("one two", "stop")
        assert list(chat) == []
    sent = daemon.params("turn.start")
    assert (sent["message"], sent["skill"], sent["options"]) == ("hi", "s", {"seed": 1})
    assert sent["approvals"] == ["read_file", "deny"]
    assert sent["cwd"] == str(Path.cwd())


def test_a_run_gives_the_whole_answer(home: Path, serve: Serve) -> None:
    serve({"turn.start": answer})
    with AgentGWClient() as client:
        assert client.run("hi").text == "one two"


def test_connections_are_used_again_and_closed(home: Path, serve: Serve) -> None:
    daemon = serve({"turn.start": answer, "session.list": {"sessions": []}})
    with AgentGWClient() as client:
        client.run("hi")
        list(client.chat("hi"))
        assert client.sessions() == ()
        assert len(daemon.peers) == 1
    assert daemon.peers[0].gone.wait(10)


def test_an_error_comes_as_its_class_and_leaves_the_connection(home: Path, serve: Serve) -> None:
    daemon = serve(
        {"turn.start": Failure(-32001, "no skill x"), "job.list": {"jobs": [], "file": "/jobs.yaml", "enabled": True}}
    )
    with AgentGWClient() as client:
        with pytest.raises(NotFound, match="no skill x"):
            client.run("hi", skill="x")
        with pytest.raises(NotFound, match="no skill x"):
            list(client.chat("hi", skill="x"))
        assert client.jobs() == ()
        assert len(daemon.peers) == 1


@pytest.mark.parametrize("way", ["break", "close", "with", "error"])
def test_leaving_a_chat_early_cancels_its_turn(home: Path, serve: Serve, way: str) -> None:
    silence = Silence()
    serve({"turn.start": silence, "ping": "pong"})
    with AgentGWClient() as client:
        leave(client, way)
        assert silence.left.wait(10)
        assert client.call("ping") == "pong"


def leave(client: AgentGWClient, way: str) -> None:
    if way == "break":
        for piece in client.chat("hi"):
            assert piece == "begun"
            break
        gc.collect()
    elif way == "close":
        chat = client.chat("hi")
        assert next(chat) == "begun"
        chat.close()
        assert list(chat) == []
    elif way == "with":
        with client.chat("hi") as chat:
            assert next(chat) == "begun"
    else:
        with pytest.raises(ZeroDivisionError), client.chat("hi") as chat:
            next(chat)
            raise ZeroDivisionError


def test_a_limit_of_time_cancels_too(home: Path, serve: Serve) -> None:
    silence = Silence()
    serve({"turn.start": silence})
    with AgentGWClient(timeout_s=0.2) as client:
        with pytest.raises(Timeout, match=r"no answer within 0\.2 seconds"):
            client.run("hi")
        assert silence.left.wait(10)


def test_threads_may_share_a_client(home: Path, serve: Serve) -> None:
    together = threading.Barrier(4, timeout=PATIENCE_S)

    def meet(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        together.wait()
        peer.delta(params["message"])
        return {**RESULT, "text": params["message"]}

    serve({"turn.start": meet})
    said: dict[str, str] = {}
    with AgentGWClient() as client:

        def ask(text: str) -> None:
            said[text] = "".join(client.chat(text))

        threads = [threading.Thread(target=ask, args=(f"t{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert said == {f"t{number}": f"t{number}" for number in range(4)}


def test_a_daemon_that_was_replaced_is_connected_to_anew(home: Path, serve: Serve) -> None:
    daemon = serve({"ping": "pong"})
    with AgentGWClient() as client:
        client.call("ping")
        daemon.peers[0].connection.shutdown(2)
        assert daemon.peers[0].gone.wait(10)
        assert client.call("ping") == "pong"
        assert len(daemon.peers) == 2


def test_lists_come_as_records(home: Path, serve: Serve) -> None:
    chunk = {"document_id": "d", "source": "/n.md", "text": "rent", "score": 0.5, "title_path": "a", "lines": [1, 2]}
    skill = {
        "name": "s", "description": "d", "tier": "user", "path": "/s", "unheard_of": {"x": [1]},
    }  # fmt: skip
    message = {"id": "m", "turn_id": "t", "role": "user", "content": "hi", "created_at": "2026-01-01T00:00:00Z"}
    daemon = serve(
        {
            "document.search": {"chunks": [chunk]}, "skill.list": {"skills": [skill]},
            "job.list": {"jobs": [], "file": "/jobs.yaml", "enabled": True},
            "session.messages": {"messages": [message]},
        }
    )  # fmt: skip
    with AgentGWClient() as client:
        (found,) = client.search("when is the rent due?", k=1, tags=["home"])
        assert (found.text, found.score) == ("rent", 0.5)
        assert daemon.params("document.search") == {"query": "when is the rent due?", "k": 1, "tags": ["home"]}
        assert [one.content for one in client.messages("s1")] == ["hi"]
        assert client.jobs() == ()
        assert [one.name for one in client.list_skills()] == ["s"]


def test_files_are_read_and_paths_are_named_from_the_root(
    home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = serve({"turn.start": answer, "document.ingest": {"added": 1, "updated": 0, "unchanged": 0, "chunks": 1}})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.md").write_text("words")
    with AgentGWClient() as client:
        client.run("hi", files=["n.md"])
        assert daemon.params("turn.start")["files"] == [{"name": "n.md", "text": "words"}]
        assert client.ingest("n.md", tags=["home"]).added == 1
        assert daemon.params("document.ingest") == {"paths": [str(tmp_path / "n.md")], "tags": ["home"]}
        client.ingest(text="words", source="x.md")
        assert daemon.params("document.ingest") == {"text": "words", "source": "x.md"}
        with pytest.raises(UsageError, match="cannot be read"):
            client.run("hi", files=["nothing"])


def test_a_result_that_is_none_of_this_version_is_told(home: Path, serve: Serve) -> None:
    serve({"turn.start": {**RESULT, "finish_reason": "melted"}})
    with AgentGWClient() as client, pytest.raises(VersionMismatch, match=r"no TurnResult of this version \(finish"):
        client.run("hi")


def test_a_daemon_elsewhere_is_not_told_of_this_directory(
    home: Path, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", monkeypatch)
    daemon = serve({"turn.start": answer})
    with AgentGWClient("ssh://laptop") as client:
        assert "".join(client.chat("hi")) == "one two"
        assert "cwd" not in daemon.params("turn.start")
        with pytest.raises(UsageError, match="on another machine"):
            client.ingest("n.md")


def test_what_cannot_be_used_is_refused_by_the_first_call(home: Path) -> None:
    with AgentGWClient("ftp://x") as client, pytest.raises(ConfigRefused):
        client.sessions()
    with pytest.raises(UsageError, match="is closed"):
        client.sessions()


def test_the_package_gives_the_clients_and_nothing_else_by_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        agentgw.Nothing  # type: ignore[attr-defined]  # noqa: B018  # asked for on purpose


def test_the_package_alone_loads_nothing() -> None:
    script = "import sys, agentgw; print([name for name in sys.modules if name.startswith('agentgw.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
