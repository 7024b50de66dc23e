from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentgw import __version__
from agentgw.cli import main as cli_module
from agentgw.cli.commands.doctor import without_repeats
from agentgw.cli.commands.skills import SkillInvalid
from agentgw.local.connect import connect_client
from agentgw.local.directories import prepare
from agentgw.local.paths import Paths
from agentgw.local.sockets import bind_socket
from agentgw.protocol.errors import NotFound
from tests.client.commandline import Cli, Run, Terminal
from tests.client.fakedaemon import Failure, Peer, Serve
from tests.client.standins import client_process, is_alive, standin
from tests.patience import PATIENCE_S

MODEL = {"name": "smollm2:135m", "state": "loaded", "source": "index", "default": True, "size_bytes": 98_362_432}
WORKER = {"pid": 12, "kind": "model", "rss_bytes": 200_000_000, "slots": 4, "busy": 1, "model": "smollm2:135m"}
STATUS = {
    "version": "4.0.0.dev0", "pid": 11, "uptime_s": 3700.5, "socket": "/run/x.sock",
    "scheduler": {"enabled": False, "jobs_count": 0, "jobs": []},
    "service": {"provider": "llama.cpp", "model": "smollm2:135m"}, "models": [MODEL], "workers": [WORKER],
    "queue": 2, "sessions": 5, "db_bytes": 40_960, "connections": 1, "rss_bytes": 50_000_000, "log": "/x/daemon.log",
    "turns": 2, "waiting": 1,
}  # fmt: skip
SESSION = {
    "session_id": "01JD", "title": "holiday plans", "skill": "general-assistant", "turns": 3,
    "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z",
}  # fmt: skip
SKILL = {"name": "mine", "description": "Does it.", "tier": "user", "path": "/x/mine"}


def message(number: int, role: str = "user", **more: Any) -> dict[str, Any]:
    return {
        "id": f"m{number}", "turn_id": "t", "role": role, "content": f"text {number}\n",
        "created_at": f"2026-01-01T00:00:0{number}Z", **more,
    }  # fmt: skip


class TestStatus:
    def test_it_shows_what_runs(self, cli: Cli, serve: Serve) -> None:
        serve({"daemon.status": STATUS})
        status, out, err = cli("status")
        assert (status, err) == (0, "")
        assert "version 4.0.0.dev0, pid 11, up 1 h 1 min\n" in out
        assert "smollm2:135m (llama.cpp)\n" in out
        assert "2, of which 1 waits for an answer: agentgw approvals\n" in out

    @pytest.mark.parametrize(
        ("scheduler", "words"),
        [
            ({"enabled": False, "jobs_count": 3}, "off"),
            ({"enabled": True, "jobs_count": 0}, "on, 0 jobs"),
            ({"enabled": True, "jobs_count": 1}, "on, 1 job"),
            ({"enabled": True, "jobs_count": 2}, "on, 2 jobs"),
        ],
    )
    def test_the_jobs_are_counted(self, cli: Cli, serve: Serve, scheduler: dict[str, Any], words: str) -> None:
        serve({"daemon.status": {**STATUS, "scheduler": {**scheduler, "jobs": []}}})
        [line] = [line for line in cli("status")[1].splitlines() if line.startswith("scheduler ")]
        assert line.split(maxsplit=1)[1] == words

    @pytest.mark.parametrize("form", [(), ("--json",)])
    def test_the_daemon_of_another_home_is_told(
        self, cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]
    ) -> None:
        said = {"protocol": 1, "version": __version__, "pid": 11, "data_dir": "/elsewhere"}
        daemon = serve({"hello": said, "daemon.status": STATUS})
        status, out, err = cli("status", *form)
        assert (status, "4.0.0.dev0" in out) == (0, True)
        assert "another home: it keeps its data in /elsewhere, not in " in err
        # Who names the socket means that daemon.
        monkeypatch.setenv("AGENTGW_SOCKET", Paths().socket)
        assert cli("status", *form) == (0, out, "")
        assert daemon.methods() == ["hello", "daemon.status"] * 2

    def test_json_is_the_daemons_own(self, cli: Cli, serve: Serve) -> None:
        serve({"daemon.status": STATUS})
        assert json.loads(cli("status", "--json")[1]) == {"running": True, **STATUS}

    def test_without_a_daemon_it_starts_none(self, cli: Cli, home: Path) -> None:
        assert cli("status") == (3, "not running\n", "")
        status, out, _ = cli("status", "--json")
        assert (status, json.loads(out)) == (3, {"running": False})
        assert not home.exists()

    def test_a_daemon_that_a_request_would_start_is_not_started(
        self, cli: Cli, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        unit = tmp_path / "config" / "systemd" / "user" / "agentgw.socket"
        unit.parent.mkdir(parents=True)
        unit.touch()
        prepare(paths)
        with bind_socket(paths) as listener:
            assert cli("status") == (3, "not running; a request starts it\n", "")
            assert json.loads(cli("status", "--json")[1]) == {"running": False, "on_demand": True}
            assert cli("stop") == (0, "not running\n", "")
            assert select.select([listener], [], [], 0)[0] == [], "nobody has connected"

    def test_a_socket_left_behind_is_not_a_daemon(self, cli: Cli, paths: Paths) -> None:
        prepare(paths)
        bind_socket(paths).close()
        assert cli("status")[0] == 3


class TestLifecycle:
    @pytest.fixture(autouse=True)
    def started_by_the_standin(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        # It reads no configuration.
        monkeypatch.setattr("agentgw.cli.commands.restart.check_configuration", lambda hint: None)
        monkeypatch.setattr("agentgw.local.lifetime.spawn.daemon_command", lambda *flags: standin(paths))

    def test_start_prints_the_pid_and_the_same_again(self, cli: Cli, spawned: list[int]) -> None:
        status, out, err = cli("start")
        spawned.append(int(out))
        assert (status, err) == (0, "")
        assert cli("start") == (0, out, "")

    def test_stop_ends_it_and_says_so(self, cli: Cli, paths: Paths) -> None:
        pid = int(client_process(paths).communicate(timeout=PATIENCE_S)[0])
        assert cli("stop") == (0, "stopped\n", "")
        assert not is_alive(pid)
        assert cli("stop") == (0, "not running\n", "")

    def test_restart_gives_another_daemon(self, cli: Cli, paths: Paths, spawned: list[int]) -> None:
        pid = int(client_process(paths).communicate(timeout=PATIENCE_S)[0])
        status, out, err = cli("restart")
        spawned.append(int(out))
        assert (status, err) == (0, "")
        assert int(out) != pid
        assert not is_alive(pid)

    @pytest.mark.parametrize("verb", ["stop", "restart"])
    def test_the_daemon_of_another_home_is_not_ended(self, cli: Cli, serve: Serve, paths: Paths, verb: str) -> None:
        said = {"protocol": 1, "version": __version__, "pid": os.getpid(), "data_dir": "/elsewhere"}
        daemon = serve({"hello": said})
        status, out, err = cli(verb)
        assert (status, out) == (78, "")
        assert err.startswith(f"agentgw: the daemon at {paths.socket} keeps its data in /elsewhere, not in")
        assert daemon.methods() == ["hello"]

    def test_restart_without_a_daemon_starts_one(self, cli: Cli, spawned: list[int]) -> None:
        status, out, _ = cli("restart")
        spawned.append(int(out))
        assert status == 0

    def test_a_daemon_of_another_protocol_can_still_be_stopped(self, cli: Cli, serve: Serve) -> None:
        ended = threading.Event()

        def stop(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            threading.Timer(0.01, lambda: (ended.set(), peer.connection.shutdown(2))).start()
            return {"stopping": True}

        serve({"hello": Failure(-32010, "Version mismatch"), "daemon.shutdown": stop})
        assert cli("stop") == (0, "stopped\n", "")
        assert ended.is_set()


class TestReload:
    def test_restart_with_a_configuration_that_is_refused_stops_nothing(
        self, cli: Cli, serve: Serve, paths: Paths
    ) -> None:
        daemon = serve()
        Path(paths.config_file).write_text("[modle]\n")
        status, out, err = cli("restart")
        assert (status, out) == (78, "")
        assert err.startswith(f"agentgw: {paths.config_file}:1: unknown key modle; did you mean model?")
        assert err.endswith("nothing was stopped\n")
        assert daemon.methods() == []

    def test_it_lists_what_changed(self, cli: Cli, serve: Serve) -> None:
        answer = {"changed": ["model.default"], "restart_needed": ["limits.connections"]}
        serve({"daemon.reload": answer})
        assert cli("reload") == (0, "changed  model.default\nrestart  limits.connections\n", "")
        assert json.loads(cli("reload", "--json")[1]) == answer

    def test_it_says_so_when_nothing_did(self, cli: Cli, serve: Serve) -> None:
        serve({"daemon.reload": {"changed": [], "restart_needed": []}})
        assert cli("reload")[1] == "nothing changed\n"

    def test_it_starts_no_daemon(self, cli: Cli) -> None:
        assert cli("reload") == (3, "", "agentgw: no daemon is running. run: agentgw start\n")


class TestPs:
    def test_a_line_a_worker(self, cli: Cli, serve: Serve) -> None:
        serve({"daemon.status": STATUS})
        _, out, _ = cli("ps")
        assert [line.split() for line in out.splitlines()] == [
            ["PID", "KIND", "MODEL", "MEMORY", "BUSY", "TOKENS/S", "HOW"],
            ["12", "model", "smollm2:135m", "200", "MB", "1/4"],
        ]
        assert json.loads(cli("ps", "--json")[1]) == {"workers": [WORKER]}

    def test_it_tells_how_fast_and_how_a_worker_runs(self, cli: Cli, serve: Serve) -> None:
        worker = {**WORKER, "tokens_per_s": 57.4, "detail": "attention plain, threads 2, batches of 512"}
        serve({"daemon.status": {**STATUS, "workers": [worker]}})
        assert cli("ps")[1].splitlines()[1].endswith("1/4   57        attention plain, threads 2, batches of 512")
        assert "smollm2:135m in 200 MB (1 of 4 busy, 57 tokens/s)" in cli("status")[1]

    def test_it_starts_no_daemon(self, cli: Cli) -> None:
        assert cli("ps")[0] == 3


class TestLogs:
    @pytest.fixture
    def log(self, paths: Paths) -> Path:
        prepare(paths)
        path = Path(paths.log_file)
        path.write_text("".join(f"line {n}\n" for n in range(100)))
        return path

    def test_the_last_lines_without_a_daemon(self, cli: Cli, log: Path) -> None:
        assert cli("logs", "-n", "2") == (0, "line 98\nline 99\n", "")
        assert cli("logs")[1].count("\n") == 50

    def test_no_log_says_what_to_do(self, cli: Cli) -> None:
        status, out, err = cli("logs")
        assert (status, out) == (3, "")
        assert err.endswith("run: agentgw start\n")

    def test_a_terminal_breaks_long_lines_between_words(self, log: Path, terminal: Callable[..., Terminal]) -> None:
        log.write_bytes(b"2026-01-01T00:00:00.000Z INFO " + b"word " * 20 + b"end\n" + b"caf\xc3\xa9 \x1b[2J\n")
        screen = terminal("logs", columns=40)
        assert screen.end() == 0
        lines = screen.text.splitlines()
        assert max(map(len, lines)) <= 40
        assert " ".join(lines).split()[2:23] == [*["word"] * 20, "end"]
        assert lines[-1] == "café \\x1b[2J"

    def test_what_follows_is_broken_too_and_a_cut_character_is_whole(
        self, log: Path, terminal: Callable[..., Terminal]
    ) -> None:
        screen = terminal("logs", "-f", "-n", "1", columns=40)
        screen.wait_for("line 99\n")
        with log.open("ab", buffering=0) as more:
            more.write(b"word " * 10 + b"caf\xc3")
            screen.wait_for("word word word word word word word word\nword ")
            more.write(b"\xa9 end\n")
        screen.wait_for("word word café end\n")

    def test_following_goes_on_through_a_rotation(self, home: Path, log: Path) -> None:
        command = [sys.executable, "-m", "agentgw", "logs", "-f", "-n", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "line 99\n"
            with log.open("a") as more:
                more.write("line 100\n")
            assert process.stdout.readline() == "line 100\n"
            log.rename(log.with_suffix(".1"))
            log.write_text("a new file\n")
            assert process.stdout.readline() == "a new file\n"
            log.write_text("cut\n")
            assert process.stdout.readline() == "cut\n"
            process.stdout.close()
            with log.open("a") as more:
                more.write("nobody reads\n" * 10)
            assert process.wait(PATIENCE_S) == 141


TURN = {
    "turn_id": "t-1", "session_id": "01JD", "skill": "general-assistant", "model": "echo", "state": "running",
    "created_at": "2026-01-01T00:00:00Z", "last_seq": 3,
}  # fmt: skip


class TestTurns:
    def test_the_list_is_of_those_that_run_or_wait(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"turn.list": {"turns": [{**TURN, "detached": True}, {**TURN, "state": "waiting"}]}})
        first, second = cli("turns")[1].splitlines()[1:]
        assert first.split() == [
            "t-1", "running,", "detached", "2026-01-01", "00:00", "01JD", "general-assistant", "echo"
        ]  # fmt: skip
        assert second.split()[:2] == ["t-1", "waiting"]
        assert daemon.params("turn.list") == {"running": True, "limit": 50}
        assert cli("turns", "--all", "-n", "3", "--json")[0] == 0
        assert daemon.params("turn.list") == {"running": False, "limit": 3}

    def test_one_turn(self, cli: Cli, serve: Serve) -> None:
        detail = {
            "turn": {**TURN, "state": "interrupted", "error": "the daemon ended"}, "message": "what?", "text": "That.",
            "usage": {"prompt_tokens": 3, "cached_tokens": 0, "completion_tokens": 2}, "unreadable": ["steps[1]"],
            "tool_calls": [{"call_id": "c", "tool": "look", "arguments": {}}],
        }  # fmt: skip
        daemon = serve({"turn.show": detail})
        out = cli("turns", "show", "t-1")[1]
        for said in ("interrupted", "the daemon ended", "look cut off", "steps[1]", "\nwhat?\n", "\nThat.\n"):
            assert said in out
        assert daemon.params("turn.show") == {"turn_id": "t-1"}
        assert json.loads(cli("turns", "show", "t-1", "--json")[1]) == detail

    def test_cancelling(self, cli: Cli, serve: Serve) -> None:
        answers: dict[str, Any] = {"turn.cancel": {}}
        daemon = serve(answers)
        assert cli("turns", "cancel", "t-1") == (0, "", "agentgw: cancelled t-1\n")
        assert daemon.params("turn.cancel") == {"turn_id": "t-1"}

    def test_cancelling_what_does_not_run(self, cli: Cli, serve: Serve) -> None:
        serve({"turn.cancel": Failure(-32001, "turn t-1 does not run", kind="turn", id="t-1")})
        status, out, err = cli("turns", "cancel", "t-1")
        assert (status, out) == (1, "")
        assert "turn t-1 does not run" in err


class TestSessions:
    def test_the_list(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"session.list": {"sessions": [SESSION], "next": "x"}})
        for words in (("sessions",), ("sessions", "list"), ("sessions", "list", "-n", "5")):
            _, out, _ = cli(*words)
            assert out.splitlines()[1].split() == [
                "01JD", "2026-01-02", "00:00", "3", "general-assistant", "holiday", "plans",
            ]  # fmt: skip
        assert daemon.params("session.list") == {"limit": 5}
        assert json.loads(cli("sessions", "--json")[1]) == {"sessions": [SESSION], "next": "x"}

    def test_a_session_that_was_delegated_to_says_for_which(self, serve: Serve, cli: Cli) -> None:
        serve({"session.list": {"sessions": [{**SESSION, "parent_id": "s-0", "delegated_by": "t-0"}]}})
        assert f"for s-0: {SESSION['title']}" in cli("sessions")[1]

    @pytest.mark.parametrize("words", [("sessions", "show"), ("history",)])
    def test_all_messages_of_one_oldest_first(self, cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
        def page(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            pages = {
                None: {"messages": [message(3), message(4, "assistant", interrupted=True)], "next": "3"},
                "3": {"messages": [message(1), message(2, "assistant")]},
            }
            assert params["session_id"] == "01JD"
            return pages[params.get("before")]

        serve({"session.messages": page})
        _, out, _ = cli(*words, "01JD")
        assert out.startswith("user, 2026-01-01 00:00, t:\ntext 1\n\nassistant, ")
        assert out.endswith("assistant (cut off), 2026-01-01 00:00, t:\ntext 4\n\n")
        listed = json.loads(cli(*words, "01JD", "--json")[1])["messages"]
        assert [entry["id"] for entry in listed] == ["m1", "m2", "m3", "m4"]

    @pytest.mark.parametrize("words", [("sessions", "show"), ("history",)])
    def test_the_last_one_started_here_needs_no_id(self, cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
        sessions: list[dict[str, Any]] = [{"session_id": "s-last"}]
        daemon = serve(
            {"session.list": lambda *_: {"sessions": sessions}, "session.messages": {"messages": [message(1)]}}
        )
        assert cli(*words, "-c")[:2] == (0, "user, 2026-01-01 00:00, t:\ntext 1\n\n")
        assert daemon.params("session.list") == {"cwd": os.getcwd(), "limit": 1}
        assert daemon.params("session.messages")["session_id"] == "s-last"
        sessions.clear()
        said = "agentgw: no session was started here yet. agentgw sessions lists all\n"
        assert cli(*words, "-c") == (1, "", said)
        for wrong in ((), ("-c", "01JD")):
            status, _, err = cli(*words, *wrong)
            assert (status, err.partition(".")[0]) == (2, "agentgw: name a session, or take the last one here with -c")

    def test_calls_come_before_the_answer_or_after_a_question_without_one(self, cli: Cli, serve: Serve) -> None:
        made = {"call_id": "c", "tool": "read_file", "arguments": {"path": "a b"}, "ok": True, "content": "x\ny" * 200}
        failed = {**made, "ok": False, "content": "no such file"}
        lost = {name: made[name] for name in ("call_id", "tool", "arguments")}
        serve({"session.messages": {"messages": [
            message(1), message(2, "assistant", tool_calls=[made, failed]), message(3, tool_calls=[lost]),
        ]}})  # fmt: skip
        _, out, _ = cli("history", "01JD")
        assert "  read_file(path='a b')\n    x yx y" in out
        assert "    failed: no such file\ntext 2\n" in out
        assert out.endswith("text 3\n  read_file(path='a b')\n    cut off\n\n")
        assert max(map(len, out.splitlines())) < 200

    def test_search(self, cli: Cli, serve: Serve) -> None:
        hit = {
            "session_id": "01JD", "turn_id": "t", "title": "x", "role": "user", "snippet": "a «unix» «socket»",
            "created_at": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        daemon = serve({"session.search": {"messages": [hit]}})
        assert "a «unix» «socket»" in cli("sessions", "search", "unix", "socket")[1]
        assert daemon.params("session.search") == {"query": "unix socket", "limit": 20}
        assert json.loads(cli("sessions", "search", "x", "--json")[1]) == {"messages": [hit]}

    def test_on_a_terminal_a_match_has_a_line_of_its_own(
        self, cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hit = {
            "session_id": "01JD", "turn_id": "t", "title": "sockets", "role": "user", "snippet": "a\n«unix» \x1b[2J",
            "created_at": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        serve({"session.search": {"messages": [hit]}})
        monkeypatch.setattr("agentgw.cli.output.is_terminal", lambda stream: True)
        out = cli("sessions", "search", "unix")[1]
        assert out == "01JD  2026-01-01  user       sockets\n    a «unix» \\x1b[2J\n"

    def test_rename_fork_export_and_delete(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({
            "session.rename": {**SESSION, "title": "new title"}, "session.fork": {**SESSION, "session_id": "01JE"},
            "session.export": {"text": "# holiday\n"}, "session.get": SESSION, "session.delete": {"ok": True},
        })  # fmt: skip
        assert cli("sessions", "rename", "01JD", "new", "title") == (0, "new title\n", "")
        assert daemon.params("session.rename") == {"session_id": "01JD", "title": "new title"}
        assert cli("sessions", "fork", "01JD", "--at", "t2") == (0, "01JE\n", "")
        assert daemon.params("session.fork") == {"session_id": "01JD", "at": "t2"}
        assert cli("sessions", "export", "01JD", "--format", "json") == (0, "# holiday\n", "")
        assert daemon.params("session.export") == {"session_id": "01JD", "format": "json"}
        assert cli("sessions", "delete", "01JD") == (0, "", "agentgw: deleted 01JD\n")
        assert daemon.params("session.delete") == {"session_id": "01JD"}

    def test_an_unknown_one_is_exit_1(self, cli: Cli, serve: Serve) -> None:
        serve({"session.messages": Failure(-32001, "no session x", hint="see agentgw sessions")})
        assert cli("history", "x") == (1, "", "agentgw: no session x. see agentgw sessions\n")


RATING = {
    "turn_id": "t1", "session_id": "s1", "rating": -1, "created_at": "2026-01-01T00:00:00Z", "skill": "mine",
    "model": "echo", "message": "why?", "comment": "too long",
}  # fmt: skip


class TestFeedback:
    @pytest.mark.parametrize(
        ("words", "sent"),
        [
            (("-1", "t1"), {"rating": -1, "turn_id": "t1"}),
            (("+1", "t1"), {"rating": 1, "turn_id": "t1"}),
            (("-1", "--comment", "too long", "t1"), {"rating": -1, "turn_id": "t1", "comment": "too long"}),
            (("-1", "t1", "--comment", "-1"), {"rating": -1, "turn_id": "t1", "comment": "-1"}),
        ],
    )
    def test_a_rating_is_a_word_and_no_option(
        self, cli: Cli, serve: Serve, words: tuple[str, ...], sent: dict[str, Any]
    ) -> None:
        daemon = serve({"feedback.add": RATING})
        assert cli("feedback", *words) == (0, "-1  t1  why?\n", "")
        assert daemon.params("feedback.add") == sent

    def test_without_a_turn_it_is_the_last_of_this_directory(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"feedback.add": RATING})
        assert json.loads(cli("feedback", "-1", "--json")[1]) == RATING
        assert daemon.params("feedback.add") == {"rating": -1, "cwd": os.getcwd()}

    def test_the_list_has_ratings_and_counts(self, cli: Cli, serve: Serve) -> None:
        counts = [{"skill": "mine", "model": "echo", "good": 2, "bad": 1}]
        other = [{"skill": "other", "model": "echo", "good": 1, "bad": 0}]
        daemon = serve({"feedback.list": {"ratings": [RATING]}, "stats.get": {"feedback": counts + other}})
        for words in (("feedback",), ("feedback", "list")):
            lines = [line.split() for line in cli(*words)[1].splitlines()]
            assert lines[1] == ["t1", "-1", "mine", "echo", "why?", "too", "long"]
            assert lines[-2:] == [["mine", "echo", "2", "1"], ["other", "echo", "1", "0"]]
        shown = json.loads(cli("feedback", "list", "--rating", "-1", "-s", "mine", "--json")[1])
        assert shown == {"ratings": [RATING], "counts": counts}
        assert daemon.params("feedback.list") == {"limit": 50, "skill": "mine", "rating": -1}

    @pytest.mark.parametrize("words", [("-2",), ("--comment", "x"), ("list", "--rating", "0"), ("-1", "a", "b")])
    def test_other_words_are_a_usage_error(self, cli: Cli, words: tuple[str, ...]) -> None:
        assert cli("feedback", *words)[0] == 2


class TestSkills:
    def test_broken_ones_are_listed_with_their_reason(self, cli: Cli, serve: Serve) -> None:
        skills = [SKILL, {**SKILL, "name": "bad", "error": "no description"}]
        daemon = serve({"skill.list": {"skills": skills}})
        _, out, _ = cli("skills")
        assert out.splitlines()[1:] == ["mine  user  Does it.", "bad   user  broken: no description"]
        assert daemon.params("skill.list") == {"cwd": os.getcwd()}
        assert json.loads(cli("skills", "--json")[1]) == {"skills": skills}

    def test_what_makes_a_projects_skills_usable_is_told_once(self, cli: Cli, serve: Serve) -> None:
        waiting = {**SKILL, "tier": "project", "error": "not trusted", "remedy": "agentgw trust /x"}
        serve({"skill.list": {"skills": [waiting, {**waiting, "name": "other"}]}})
        assert cli("skills")[2] == "agentgw: to use the skills of this project: agentgw trust /x\n"

    def test_show_gives_the_instructions(self, cli: Cli, serve: Serve) -> None:
        answer = {"skill": SKILL, "instructions": "You are it.\n"}
        serve({"skill.get": answer})
        _, out, _ = cli("skills", "show", "mine")
        assert out.endswith("\n\nYou are it.\n")
        assert json.loads(cli("skills", "show", "mine", "--json")[1]) == answer

    def test_route_prints_the_ranking(self, cli: Cli, serve: Serve) -> None:
        answer = {"skills": [{"name": "mine", "score": 1.25, "reason": "words: does"}]}
        daemon = serve({"skill.route": answer})
        assert cli("skills", "route", "who", "does?")[1].splitlines()[1:] == ["mine  1.25   words: does"]
        assert daemon.params("skill.route") == {"message": "who does?", "cwd": os.getcwd()}
        assert json.loads(cli("skills", "route", "x", "--json")[1]) == answer

    def test_validate_prints_the_problems(
        self, cli: Cli, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        daemon = serve({"skill.validate": {"ok": False, "problems": ["no name", "no description"]}})
        assert cli("skills", "validate", "mine") == (1, "no name\nno description\n", "")
        assert daemon.params("skill.validate") == {"path": f"{tmp_path}/mine"}
        daemon.answers["skill.validate"] = {"ok": True, "problems": []}
        assert cli("skills", "validate", "mine") == (0, "ok\n", "")

    def test_cost_prints_a_line_a_skill_broken_ones_with_their_reason(self, cli: Cli, serve: Serve) -> None:
        measured = {
            "name": "mine", "model": "m", "tokens": 1234, "share": 0.1506, "prompt_tokens": 1250, "cold_ms": 6212.4,
            "warm_ms": 39.6, "cached_tokens": 1249, "first_token_ms": 6230.0,
        }  # fmt: skip
        remote = {"name": "remote", "model": "far/m", "tokens": 5, "estimated": True, "prompt_tokens": 9}
        costs = {"bad": {"name": "bad", "error": "no description"}, "mine": measured, "remote": remote}
        listed = [{**SKILL, "name": name} for name in costs]
        daemon = serve({
            "skill.list": {"skills": listed},
            "skill.cost": lambda _, params: {
                "skills": [costs[params["name"]]] if "name" in params else list(costs.values())
            },
        })  # fmt: skip
        status, out, err = cli("skills", "cost")
        assert (status, err) == (0, "")
        assert out.splitlines() == [
            "NAME    TOKENS  CONTEXT     COLD     WARM  FIRST WORD  MODEL",
            "bad     error: no description",
            "mine      1234      15%    6.2 s    40 ms       6.2 s  m",
            "remote      ~5                                         far/m",
        ]
        assert json.loads(cli("skills", "cost", "--json")[1]) == {"skills": list(costs.values())}
        assert daemon.params("skill.cost") == {"cwd": os.getcwd()}

    def test_cost_of_one_skill_that_cannot_be_measured_is_exit_1(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"skill.cost": {"skills": [{"name": "mine", "error": "no model"}]}})
        status, out, _ = cli("skills", "cost", "mine")
        assert (status, out.splitlines()[1:]) == (1, ["mine  error: no model"])
        assert daemon.params("skill.cost") == {"name": "mine", "cwd": os.getcwd()}
        assert cli("skills", "cost", "mine", "--json")[0] == 1

    def test_cost_of_a_skill_that_is_not_there_is_no_table(self, cli: Cli, serve: Serve) -> None:
        serve({"skill.cost": Failure(-32001, "there is no skill mien", hint="did you mean mine?")})
        assert cli("skills", "cost", "mien") == (1, "", "agentgw: there is no skill mien. did you mean mine?\n")

    def test_cost_ends_with_ctrl_c_and_the_daemon_hears_of_it(
        self, serve: Serve, terminal: Callable[..., Terminal]
    ) -> None:
        asked, left = threading.Event(), threading.Event()

        def measure(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            asked.set()
            assert peer.gone.wait(30)
            left.set()
            return {"skills": []}

        serve({"skill.cost": measure})
        screen = terminal("skills", "cost", "mine")
        assert asked.wait(30)
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 130
        assert left.wait(PATIENCE_S)

    def test_new_makes_a_skill_of_that_name(self, cli: Cli, paths: Paths) -> None:
        status, out, _ = cli("skills", "new", "my_skill")
        path = Path(out.rstrip("\n"))
        assert status == 0
        assert path == Path(paths.skills_dir, "my-skill", "SKILL.md")
        assert path.read_text().startswith("---\nname: my-skill\ndescription: ")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        status, _, err = cli("skills", "new", "my-skill")
        assert status == 1
        assert "is there already" in err

    def test_new_leaves_a_word_of_the_configuration_alone(self, cli: Cli, home: Path) -> None:
        assert cli("skills", "new", "auto")[::2] == (
            2, "agentgw: auto is what agent.default_skill calls a choice by the message. take another name\n",
        )  # fmt: skip
        assert not home.exists()

    @pytest.mark.parametrize("name", ["../x", "Ä", "a--b", "-a", "x" * 65, "A"])
    def test_new_refuses_what_cannot_be_a_name(self, cli: Cli, name: str, home: Path) -> None:
        assert cli("skills", "new", "--", name)[0] == 2
        assert not home.exists()

    def test_an_old_skill_is_imported_by_the_daemon(self, cli: Cli, serve: Serve, tmp_path: Path) -> None:
        old = tmp_path / "old.yaml"
        daemon = serve({"skill.import": {"ok": False, "problems": ["no system_prompt"]}})
        status, _, err = cli("skills", "import", str(old))
        assert (status, err) == (1, f"agentgw: {old} cannot be imported: no system_prompt. {SkillInvalid.remedy}\n")
        assert daemon.params("skill.import") == {"path": str(old)}
        daemon.answers["skill.import"] = {
            "ok": True, "problems": ["note: key x is unknown and is ignored"],
            "skill": {**SKILL, "path": "/s/old/SKILL.md"},
        }  # fmt: skip
        status, out, err = cli("skills", "import", str(old))
        assert (status, out, err) == (0, "/s/old/SKILL.md\n", "agentgw: note: key x is unknown and is ignored\n")


class TestModels:
    def test_the_list_marks_the_default(self, cli: Cli, serve: Serve) -> None:
        models = [MODEL, {"name": "echo", "state": "not_pulled", "source": "builtin"}]
        serve({"model.list": {"models": models}})
        lines = cli("models")[1].splitlines()
        assert lines[1].split() == ["*", "smollm2:135m", "loaded", "98", "MB"]
        assert lines[2].split() == ["echo", "not", "pulled"]
        assert json.loads(cli("models", "list", "--json")[1]) == {"models": models}

    @pytest.mark.parametrize("action", ["show", "remove", "load", "unload", "default"])
    def test_what_is_no_model_is_exit_status_4(self, cli: Cli, serve: Serve, action: str) -> None:
        method = f"model.{action}"
        serve({method: Failure(NotFound.code, "there is no model x", kind="model", id="x")})
        status, _, err = cli("models", action, "x")
        assert (status, err) == (4, "agentgw: there is no model x. `agentgw models` lists what there is\n")

    def test_show_has_the_metadata(self, cli: Cli, serve: Serve) -> None:
        serve({"model.show": {"model": MODEL, "metadata": {"general.name": "Smol"}}})
        out = cli("models", "show", "smollm2:135m")[1]
        assert "98362432 (98 MB)" in out
        assert out.endswith("general.name  Smol\n")

    def test_show_tells_how_it_runs_here_and_what_was_measured(self, cli: Cli, serve: Serve) -> None:
        tuning = {"attention": "plain", "threads": 2, "threads_batch": 4, "batch_tokens": 512}
        figure = {"attention": "flash", "threads": 4, "batch_tokens": 256, "streams": 0, "tokens_per_s": 180.0}
        streams = {**figure, "attention": "plain", "threads": 2, "batch_tokens": 0, "streams": 4, "tokens_per_s": 90.0}
        answer = {
            "model": MODEL, "metadata": {}, "running": {**tuning, "attention": "auto"}, "tuned": tuning,
            "measured": [figure, streams],
        }  # fmt: skip
        serve({"model.show": answer})
        lines = [line.split(maxsplit=1)[1] for line in cli("models", "show", "smollm2:135m")[1].splitlines()[-4:]]
        assert lines == [
            "attention auto, threads 2, threads_batch 4, batch_tokens 512",
            "attention plain, threads 2, threads_batch 4, batch_tokens 512",
            "180.0 tokens/s: a prompt in batches of 256, attention flash, threads 4",
            "90.0 tokens/s: 4 streams, attention plain, threads 2",
        ]
        assert json.loads(cli("models", "show", "smollm2:135m", "--json")[1]) == answer

    def test_recommend_ranks_and_says_what_to_pull(self, cli: Cli, serve: Serve) -> None:
        small = {
            "name": "small", "kind": "general", "state": "available", "size_bytes": 100_000_000, "download_bytes": 0,
            "need_bytes": 200_000_000, "fits": True, "tokens_per_s": 61.5, "measured": True, "licence": "mit",
            "description": "quick",
        }  # fmt: skip
        large = {
            "name": "hf:o/r:Q4_0", "kind": "general", "state": "not_pulled", "size_bytes": 4_000_000_000,
            "download_bytes": 4_000_000_000, "need_bytes": 5_000_000_000, "fits": False, "tokens_per_s": 10.0,
            "measured": False, "reason": "needs 5.0 GB of memory, 1.0 GB are free",
        }  # fmt: skip
        unknown = {key: value for key, value in large.items() if key not in ("tokens_per_s", "reason")}
        answer = {
            "models": [small, large, unknown], "dated": "2026-11-28", "best": "hf:o/r:Q4_0",
            "memory_bytes": 1_000_000_000, "disk_bytes": 9_000_000_000,
            "bandwidth_bytes_per_s": 40_000_000_000, "threads": 2,
        }  # fmt: skip
        serve({"model.recommend": answer})
        status, out, err = cli("models", "recommend")
        assert status == 0
        assert [" ".join(line.split()) for line in out.splitlines()] == [
            "NAME DOWNLOAD MEMORY RATE LICENCE GOOD AT, OR WHY IT DOES NOT FIT",
            "small here 200 MB 61.5 tokens/s mit quick",
            "hf:o/r:Q4_0 4.0 GB 5.0 GB about 10 tokens/s needs 5.0 GB of memory, 1.0 GB are free",
            "hf:o/r:Q4_0 4.0 GB 5.0 GB unknown",
        ]
        assert err.splitlines() == [
            "agentgw: memory: 40.0 GB/s, measured with 2 threads",
            "agentgw: free: 1.0 GB of memory, 9.0 GB of disk; sizes as of 2026-11-28",
            "agentgw: the best that fits: agentgw pull hf:o/r:Q4_0",
        ]
        assert json.loads(cli("models", "recommend", "--json")[1]) == answer

    def test_recommend_leaves_out_what_is_unknown(self, cli: Cli, serve: Serve) -> None:
        serve({"model.recommend": {"models": [], "dated": "2026-11-28", "disk_bytes": 9_000_000_000}})
        assert cli("models", "recommend")[2] == "agentgw: free: 9.0 GB of disk; sizes as of 2026-11-28\n"

    def test_load_unload_remove_and_default(self, cli: Cli, serve: Serve, tmp_path: Path) -> None:
        daemon = serve({
            "model.load": MODEL, "model.default": MODEL, "model.unload": {"ok": True}, "model.remove": {"ok": True}
        })  # fmt: skip
        for action, out, err in (
            ("load", "smollm2:135m\n", ""), ("default", "smollm2:135m\n", ""),
            ("unload", "", "agentgw: unloaded x.gguf\n"), ("remove", "", "agentgw: removed x.gguf\n"),
        ):  # fmt: skip
            assert cli("models", action, "x.gguf") == (0, out, err)
            assert daemon.params(f"model.{action}") == {"model": f"{os.getcwd()}/x.gguf"}

    @pytest.mark.parametrize("words", [("pull",), ("models", "pull")])
    def test_pull_shows_progress_on_stderr_and_the_name_on_stdout(
        self, cli: Cli, serve: Serve, words: tuple[str, ...]
    ) -> None:
        def pull(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            for done in range(0, 1001, 50):
                peer.notify("model.progress", model="m", done_bytes=done, total_bytes=1000)
            return MODEL

        serve({"model.pull": pull})
        status, out, err = cli(*words, "smollm2:135m")
        assert (status, out) == (0, "smollm2:135m\n")
        assert len(err.splitlines()) == 11
        assert err.startswith("smollm2:135m   0%")
        assert cli(*words, "-q", "smollm2:135m") == (0, "smollm2:135m\n", "")

    def test_a_pull_that_fails_says_why(self, cli: Cli, serve: Serve) -> None:
        serve({"model.pull": Failure(-32006, "checksum differs", hint="try again")})
        assert cli("pull", "x") == (4, "", "agentgw: checksum differs. try again\n")


class TestAttach:
    def test_it_prints_the_turn_from_its_start(self, cli: Cli, serve: Serve) -> None:
        def replay(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            peer.delta("all ")
            peer.delta("of it")
            return {"text": "all of it", "finish_reason": "stop"}

        daemon = serve({"turn.attach": replay})
        assert cli("attach", "01JD") == (0, "all of it\n", "")
        assert daemon.params("turn.attach") == {"turn_id": "01JD"}

    def test_interrupting_leaves_the_turn_alone(self, home: Path, serve: Serve) -> None:
        def replay(peer: Peer, params: dict[str, Any]) -> None:
            peer.delta("half")
            peer.gone.wait(20)

        daemon = serve({"turn.attach": replay})
        command = [sys.executable, "-m", "agentgw", "attach", "01JD"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.read(4) == b"half"
            process.send_signal(2)
            assert process.communicate(timeout=PATIENCE_S) == (b"\n", b"")
        assert process.returncode == 130
        assert "turn.cancel" not in daemon.methods()


class TestCall:
    def test_the_result_is_json(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"session.list": {"sessions": []}})
        assert cli("call", "ping") == (0, '"pong"\n', "")
        assert cli("call", "session.list", '{"limit": 5}') == (0, '{"sessions":[]}\n', "")
        assert daemon.params("session.list") == {"limit": 5}
        cli("call", "session.list", "[5]")
        assert daemon.params("session.list") == [5]

    @pytest.mark.parametrize("params", ["{", "5", "null", "[" * 100_000])
    def test_what_are_no_parameters_is_a_usage_error(self, cli: Cli, params: str) -> None:
        status, _, err = cli("call", "ping", params)
        assert status == 2
        assert err.count("\n") == 1

    def test_a_subscription_goes_on_with_its_events(self, home: Path, serve: Serve) -> None:
        def subscribe(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
            threading.Timer(0.05, lambda: peer.notify("event", topic="turns", name="started", data={})).start()
            return {"ok": True}

        serve({"event.subscribe": subscribe})
        command = [sys.executable, "-m", "agentgw", "call", "event.subscribe", '{"topics": ["turns"]}']
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == {"ok": True}
            event = json.loads(process.stdout.readline())
            process.kill()
        assert event == {"method": "event", "params": {"topic": "turns", "name": "started", "data": {}}}


class TestConfig:
    SETTINGS = (
        {"key": "model.default", "value": "smollm2:135m", "origin": "/x/config.toml"},
        {"key": "http.enabled", "value": False, "origin": "default"},
    )

    def test_show_and_where_it_comes_from(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"config.get": {"settings": list(self.SETTINGS)}})
        assert cli("config")[1] == "model.default  smollm2:135m\nhttp.enabled   no\n"
        lines = cli("config", "show", "model", "--origin")[1].splitlines()
        assert lines[1].split() == ["model.default", "smollm2:135m", "/x/config.toml"]
        assert daemon.params("config.get") == {"section": "model"}
        assert json.loads(cli("config", "--json")[1]) == {"settings": list(self.SETTINGS)}

    def test_what_was_edited_without_a_daemon_is_checked(
        self, agentgw: Run, paths: Paths, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare(paths)
        file = Path(paths.config_file)
        file.touch(mode=0o600)
        file.write_text("[log]\n")
        monkeypatch.setenv("EDITOR", "sh -c 'echo level=8 >> \"$0\"'")
        done = agentgw("config", "edit")
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.startswith(f"agentgw: {file}:2: log.level must be one of ")

    def test_path_needs_no_daemon(self, cli: Cli, paths: Paths, home: Path) -> None:
        assert cli("config", "path") == (0, f"{paths.config_file}\n", "")
        assert not home.exists()

    def test_edit_opens_a_private_file_and_has_it_read(
        self, agentgw: Run, serve: Serve, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        editor = tmp_path / "editor"
        editor.write_text('#!/bin/sh\necho "[model]" >> "$2"\n')
        editor.chmod(0o755)
        monkeypatch.setenv("EDITOR", f"{editor} --wait")
        settings = [
            {"key": "model.default", "value": None, "origin": "default", "about": "a model reference"},
            {"key": "agent.max_iterations", "value": 20, "origin": "/x", "about": "steps"},
            {"key": "agent.route_by", "value": "auto", "origin": "default"},
            {"key": "providers.x.base_url", "value": "http://x", "origin": "/x"},
        ]
        changed = {"changed": ["model"], "restart_needed": []}
        serve({"config.get": {"settings": settings}, "daemon.reload": changed})
        assert agentgw("config", "edit").stdout == "changed  model\n"
        assert stat.S_IMODE(os.stat(paths.config_file).st_mode) == 0o600
        text = Path(paths.config_file).read_text()
        assert "\n[model]\n# a model reference\n# default = …\n" in text
        # The value that holds by other means is not the default.
        assert '\n[agent]\n# steps\n# max_iterations = …\n# route_by = "auto"\n' in text
        assert "\n[providers" not in text
        # All that a comment says of a table is left out of the document.
        assert tomllib.loads(text.removesuffix("[model]\n")) == {"model": {}, "agent": {}}
        assert agentgw("config", "edit").stdout == "changed  model\n"
        assert Path(paths.config_file).read_text() == f"{text}[model]\n"

    def test_a_key_is_set_by_the_daemon(self, cli: Cli, serve: Serve) -> None:
        result = {"changed": ["log.level"], "restart_needed": [], "notices": ["X is set and wins"]}
        daemon = serve({"config.set": result})
        assert cli("config", "set", "log.level", "debug") == (0, "changed  log.level\n", "agentgw: X is set and wins\n")
        assert daemon.params("config.set") == {"key": "log.level", "value": "debug"}

    def test_a_key_is_taken_out_by_the_daemon(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"config.unset": {"changed": ["log.level"], "restart_needed": []}})
        assert cli("config", "unset", "log.level") == (0, "changed  log.level\n", "")
        assert daemon.params("config.unset") == {"key": "log.level"}

    def test_what_is_no_file_is_not_edited(self, agentgw: Run, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        prepare(paths)
        Path(paths.config_file).mkdir()
        monkeypatch.setenv("EDITOR", "echo edited")
        done = agentgw("config", "edit")
        assert (done.returncode, done.stdout) == (78, "")
        assert "is not a regular file" in done.stderr

    @pytest.mark.parametrize(
        ("failure", "status"),
        [(Failure(-32602, "bad value", path="config.toml"), 78), (Failure(-32602, "bad", path="value"), 2),
         (Failure(-32001, "no setting"), 1)],
    )  # fmt: skip
    def test_what_is_refused_has_the_exit_status_of_its_kind(
        self, cli: Cli, serve: Serve, failure: Failure, status: int
    ) -> None:
        serve({"config.set": failure})
        assert cli("config", "set", "log.level", "loud")[:2] == (status, "")

    @pytest.mark.parametrize(("editor", "words"), [("/nowhere/vi", "cannot be started"), ("false", "exit status 1")])
    def test_an_editor_that_fails_is_told(
        self, agentgw: Run, serve: Serve, monkeypatch: pytest.MonkeyPatch, editor: str, words: str
    ) -> None:
        monkeypatch.setenv("EDITOR", editor)
        serve({"config.get": {"settings": []}})
        done = agentgw("config", "edit")
        assert done.returncode == 2
        assert words in done.stderr


class TestDoctor:
    @pytest.fixture(autouse=True)
    def no_service_of_the_developers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    def test_jobs_without_a_service_are_a_warning(self, cli: Cli, serve: Serve) -> None:
        jobs = [{"name": "a", "enabled": True}, {"name": "b", "enabled": False}]
        serve({"daemon.doctor": {"ok": True, "findings": []}, "job.list": {"jobs": jobs}})
        _, out, _ = cli("doctor")
        assert "warning  client.service      1 job is enabled, and nothing starts the daemon at login\n" in out
        assert "fix: agentgw service install\n" in out

    def test_the_findings_of_both_sides(self, cli: Cli, serve: Serve) -> None:
        theirs = {"check": "database.integrity", "severity": "ok", "message": "quick_check is ok"}
        daemon = serve({"daemon.doctor": {"ok": True, "findings": [theirs]}})
        status, out, _ = cli("doctor", "--json")
        found = json.loads(out)
        assert (status, found["ok"]) == (0, True)
        assert found["findings"][-1] == theirs
        checks = {finding["check"] for finding in found["findings"]}
        assert checks == {
            "client.directories", "client.runtime", "client.socket", "client.lock", "client.service",
            "client.daemon", "database.integrity",
        }  # fmt: skip
        daemon.answers["daemon.doctor"] = {
            "ok": False, "findings": [{**theirs, "severity": "error", "message": "row 5 is broken", "fix": "restore"}]
        }  # fmt: skip
        status, out, _ = cli("doctor")
        assert status == 1
        assert "error    database.integrity  row 5 is broken\n" in out
        assert "fix: restore\n" in out
        assert out.endswith("11 checks, 1 errors, 0 warnings\n")

    def test_what_both_sides_see_is_said_once(self) -> None:
        def finding(check: str, severity: str, message: str) -> dict[str, str]:
            return {"check": check, "severity": severity, "message": message}

        ours = [finding("client.runtime", "warning", "no place"), finding("client.lock", "ok", "free")]
        theirs = [
            finding("runtime-directory", "warning", "no place"),
            finding("locks", "ok", "free"),
            finding("clock", "warning", "wrong"),
        ]
        assert [one["check"] for one in without_repeats(theirs, ours)] == ["locks", "clock"]

    def test_it_works_when_the_daemon_cannot_start(
        self, cli: Cli, paths: Paths, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        words = ("--say", "agentgw: config.toml: unknown key modle", "--status", "78")
        monkeypatch.setattr("agentgw.local.lifetime.spawn.daemon_command", lambda *flags: standin(paths, *words))
        status, out, err = cli("doctor", "--json")
        (finding,) = [finding for finding in json.loads(out)["findings"] if finding["severity"] == "error"]
        assert (status, err) == (1, "")
        assert (finding["check"], finding["message"]) == ("client.daemon", "config.toml: unknown key modle")

    def test_a_refused_directory_is_found_without_starting_anything(self, cli: Cli, paths: Paths) -> None:
        prepare(paths)
        os.chmod(paths.run_dir, 0o755)
        status, out, _ = cli("doctor")
        assert status == 1
        assert f"fix: run: chmod 700 {paths.run_dir}\n" in out
        assert os.listdir(paths.run_dir) == []

    def test_what_lies_in_the_way_of_the_socket_is_found(self, cli: Cli, paths: Paths) -> None:
        prepare(paths)
        Path(paths.socket).touch()
        status, out, _ = cli("doctor")
        assert status == 1
        assert "is not a socket" in out
        assert os.path.exists(paths.socket)

    def test_a_lock_that_is_held_is_a_warning(self, cli: Cli, serve: Serve, paths: Paths) -> None:
        from agentgw.local.lifetime.spawn import _take_lock

        serve({"daemon.doctor": {"ok": True, "findings": []}})
        held = _take_lock(paths.spawn_lock)
        status, out, _ = cli("doctor")
        os.close(held)
        assert status == 0
        assert "warning  client.lock" in out


def test_every_listing_takes_json() -> None:
    listings = {
        ("status", ""), ("ps", ""), ("doctor", ""), ("reload", ""), ("history", ""), ("sessions", "list"),
        ("sessions", "show"), ("sessions", "search"), ("skills", "list"), ("skills", "show"), ("models", "list"),
        ("models", "show"), ("config", "show"), ("skills", "validate"), ("skills", "cost"), ("pull", ""), ("run", ""),
        ("skills", "route"),
    }  # fmt: skip
    for verb, action in listings:
        parser = cli_module.make_parser("x", "x", "x")
        module = cli_module.load(verb)
        (module.ACTIONS[action] if action else module).configure(parser)
        assert "--json" in parser.format_help(), (verb, action)


def test_the_daemon_the_client_starts_is_the_package(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    real = os.posix_spawn

    def record(path: str, arguments: list[str], *rest: Any, **options: Any) -> int:
        started.append(arguments)
        return real("/bin/false", ["false"], *rest, **options)

    monkeypatch.setattr(os, "posix_spawn", record)
    with pytest.raises(Exception, match="did not start"):
        connect_client(paths, warm=True)
    assert started == [[sys.executable, "-P", "-m", "agentgw_daemon", "--activated", "--prewarm"]]


def test_a_failed_call_shows_what_was_written_line_by_line_and_ends_with_the_reason(agentgw: Run, serve: Serve) -> None:
    serve({"tool.call": {"ok": False, "content": "first\n\n  second\n[exit status 3]"}})
    done = agentgw("tools", "call", "run_command", "{}")
    assert (done.returncode, done.stdout) == (1, "first\n\n  second\n")
    assert done.stderr.startswith("agentgw: run_command: [exit status 3]")
