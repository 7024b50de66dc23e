from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw import __version__
from agentgw.cli import main as cli_module
from agentgw.cli import output
from agentgw.cli.commands import Action
from agentgw.protocol.errors import LocalError, UsageError
from tests.client.commandline import Cli, Run
from tests.client.fakedaemon import Failure, Serve
from tests.patience import PATIENCE_S

# Issue 2, item 2.
ASKED_FOR = {
    "run", "chat", "status", "start", "stop", "restart", "reload", "logs", "skills", "sessions", "history", "models",
    "pull", "ps", "approvals", "tools", "attach", "call", "config", "doctor", "serve", "service", "feedback",
    "backup", "restore",
    "trust", "replay", "eval", "stats", "ingest", "test", "map",
    "completion", "shell-init",
    "search", "documents", "delete-documents", "turns", "jobs", "scheduler", "web", "webhooks",
    "bridge",
}  # fmt: skip


def actions_of(verb: str) -> dict[str, Action]:
    return getattr(cli_module.load(verb), "ACTIONS", {})


def test_every_verb_asked_for_is_there() -> None:
    assert set(cli_module.VERBS) == ASKED_FOR
    files = {path.stem for path in Path(cli_module.load("run").__file__ or "").parent.glob("[a-z]*.py")}
    assert files == {verb.replace("-", "_") for verb in ASKED_FOR}


def test_version_is_one_line(cli: Cli) -> None:
    assert cli("--version") == (0, f"agentgw {__version__}\n", "")


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_lists_every_verb_in_groups(cli: Cli, word: str) -> None:
    status, out, err = cli(word)
    assert (status, err) == (0, "")
    for verb in ASKED_FOR:
        assert f"\n  {verb} " in out
    assert "\nDaemon:\n" in out


@pytest.mark.parametrize("words", [("run",), ("sessions",), ("sessions", "show"), ("feedback", "-1"), ("history",)])
def test_help_of_a_verb_is_what_the_verb_says_of_itself(cli: Cli, words: tuple[str, ...]) -> None:
    asked = cli("help", *words)
    assert asked == cli(*words, "--help")
    assert asked[1].startswith(f"usage: agentgw {' '.join(words)}")


@pytest.mark.parametrize("words", [("help", "help"), ("--help", "-h"), ("help", "--help")])
def test_help_of_help_is_the_overview(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli(*words) == cli("help")


def test_help_of_a_verb_that_does_not_exist_names_the_nearest(cli: Cli) -> None:
    assert cli("help", "serach") == (2, "", "agentgw: there is no verb serach. did you mean search?\n")


def test_no_line_of_help_is_longer_than_a_narrow_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda stream: True)
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((60, 24)))
    asked = [
        (),
        *((verb,) for verb in ASKED_FOR),
        *((verb, action) for verb in ASKED_FOR for action in actions_of(verb)),
    ]
    for words in asked:
        _, said, _ = cli("help", *words)
        assert [line for line in said.splitlines() if len(line) > 60] == [], words


@pytest.mark.parametrize("verb", sorted(ASKED_FOR))
def test_every_verb_has_help_with_an_example(
    verb: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in ((verb, "--help"), *((verb, action, "--help") for action in actions_of(verb))):
        assert cli_module.run(words) == 0
        shown = capsys.readouterr()
        assert "example:\n  " in shown.out
        assert f"usage: agentgw {' '.join(words[:-1])}" in shown.out
        assert shown.err == ""
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("stauts",), "did you mean stats or status?"),
        (("modles",), "did you mean models?"),
        (("session", "list"), "did you mean sessions?"),
        (("sessions", "serach", "x"), "did you mean search?"),
        (("doc",), "did you mean documents or doctor?"),
        (("sess",), "did you mean sessions?"),
        (("zzz",), 'to ask something: agentgw run "zzz …"'),
        (("--zzz",), 'to ask something: agentgw run -- "--zzz …"'),
        (("skills", "zzz"), "see agentgw skills --help"),
    ],
)
def test_an_unknown_verb_names_the_nearest(cli: Cli, words: tuple[str, ...], near: str) -> None:
    status, out, err = cli(*words)
    assert (status, out) == (2, "")
    assert err.startswith("agentgw: there is no verb ")
    assert err.endswith(f". {near}\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("status", "--jsn"), "did you mean --json?"), (("run", "--sesion=x", "hi"), "did you mean --session?"),
        (("ingest", "--watchd", "x"), "did you mean --watched?"),
        (("jobs", "add", "x", "--evry", "hour"), "did you mean --every?"),
        (("status", "--zzz"), "see agentgw status --help"), (("status", "-z"), "see agentgw status --help"),
        (("status", "--", "--jsn"), "see agentgw status --help"), (("status", "json"), "see agentgw status --help"),
    ],
)  # fmt: skip
def test_an_unknown_option_names_the_nearest(cli: Cli, words: tuple[str, ...], hint: str) -> None:
    status, _, err = cli(*words)
    assert status == 2
    assert err.endswith(f". {hint}\n")


def test_an_empty_verb_is_shown_as_one(cli: Cli) -> None:
    assert cli("")[2].startswith('agentgw: there is no verb "". to ask something')


def test_parameters_of_the_wire_are_told_in_words(cli: Cli, serve: Serve) -> None:
    wrong = Failure(-32602, "Invalid params: session_id is empty", path="session_id", reason="is empty")
    path, reason = "options.top_p", "must be at most 1"
    steep = Failure(-32602, f"Invalid params: {path} {reason}", path=path, reason=reason)
    deep = Failure(-32602, "Invalid params: schema #/type: unknown", path="schema/type", reason="#/type: unknown")
    serve({"session.messages": wrong, "session.list": wrong, "turn.list": steep, "session.search": deep})
    assert cli("sessions", "show", "")[2] == "agentgw: session id is empty. see agentgw sessions show --help\n"
    assert cli("turns")[2] == "agentgw: top_p must be at most 1. see agentgw turns list --help\n"
    assert cli("sessions", "search", "x")[2] == "agentgw: schema #/type: unknown. see agentgw sessions search --help\n"
    # Who names them gets them back.
    assert cli("call", "session.list")[2] == (
        "agentgw: Invalid params: session_id is empty. see agentgw call --help\n"
    )  # fmt: skip


class Seen(LocalError):
    """Ends a verb where its arguments are read."""


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("run", "--", "-x", "--help"), "text", ["-x", "--help"]),
        (("run", "a", "--", "-x"), "text", ["a", "-x"]),
        (("run", "--", "a", "--", "b"), "text", ["a", "--", "b"]),
        (("run", "-q", "--", "-q"), "text", ["-q"]),
        (("--", "run", "-q"), "text", ["-q"]),
        (("search", "--", "-v"), "query", ["-v"]),
        (("ingest", "--", "-notes"), "paths", ["-notes"]),
        (("pull", "--", "-x"), "model", "-x"),
        (("attach", "--", "-t"), "turn", "-t"),
        (("call", "ping", "--", "{}"), "params", "{}"),
        (("sessions", "--", "show", "-c"), "session", "-c"),
        (("sessions", "rename", "s", "--", "-t", "x"), "title", ["-t", "x"]),
        (("skills", "route", "--", "--json"), "text", ["--json"]),
        (("approvals", "answer", "--", "-a", "once"), "decision", "once"),
        (("feedback", "-1", "--", "-t"), "turn", "-t"),
        (("feedback", "--", "-1"), "turn", None),
        (("config", "show", "--", "-x"), "section", "-x"),
    ],
)
def test_two_hyphens_end_the_options_of_every_verb(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], name: str, value: object
) -> None:
    seen: list[object] = []

    def see(args: Namespace) -> int:
        seen.append(getattr(args, name))
        raise Seen("seen")

    verb = next(word for word in words if word != "--")
    module = cli_module.load(verb)
    if actions := actions_of(verb):
        for action in actions.values():
            monkeypatch.setattr(action, "run", see)
    else:
        monkeypatch.setattr(module, "run", see)
    assert cli(*words) == (1, "", "agentgw: seen\n")
    assert seen == [value]


def test_words_behind_two_hyphens_are_told_as_they_were_typed(cli: Cli) -> None:
    assert cli("approvals", "answer", "--", "a", "-no")[2].startswith(
        "agentgw: argument decision: invalid choice: '-no'"
    )
    assert cli("status", "--", "-x") == (
        2, "", "agentgw: unrecognized arguments: -x. see agentgw status --help\n"
    )  # fmt: skip
    assert cli("--", "-x")[2].startswith("agentgw: there is no verb -x.")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--nonsense"), ("run", "-o"), ("run", "-c", "--session", "x", "hi"), ("run", "--timeout", "no", "hi"),
        ("run", "--timeout", "0", "hi"), ("run", "--timeout", "nan", "hi"), ("run", "--output-format", "xml", "hi"),
        ("sessions", "show"), ("sessions", "list", "-n", "many"), ("pull",), ("call",), ("status", "extra"),
        ("logs", "-n", "-1"), ("run", "--sess", "x", "hi"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_line_and_exit_2(cli: Cli, words: tuple[str, ...], home: Path) -> None:
    status, out, err = cli(*words)
    assert (status, out) == (2, "")
    assert err.startswith("agentgw: ")
    assert f"see agentgw {words[0]}" in err
    assert err.count("\n") == 1
    assert not home.exists()


def test_a_fault_of_ours_is_one_line_without_a_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(verb: str) -> object:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("agentgw.cli.main.load", broken)
    assert cli("status") == (1, "", "agentgw: internal error: ZeroDivisionError: division by zero. please report it\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "/x: No space left on device. free some space"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "/x: Read-only file system. set AGENTGW_HOME"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files. too many files are open; raise the limit"),
    ],
)
def test_what_the_system_has_no_room_for_is_no_fault_of_ours(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def broken(verb: str) -> object:
        raise error

    monkeypatch.setattr("agentgw.cli.main.load", broken)
    status, _, err = cli("status")
    assert status == 1
    assert err.startswith(f"agentgw: {said}")
    assert "report" not in err


def lines_with_json() -> Iterator[tuple[str, ...]]:
    """A command line for each verb and action that has `--json`, with a word for each argument that it needs."""
    for verb in sorted(cli_module.VERBS):
        actions = actions_of(verb)
        for name, configure in [((verb, name), action.configure) for name, action in actions.items()] or [
            ((verb,), cli_module.load(verb).configure)
        ]:
            parser = cli_module.make_parser("agentgw", "x", "x")
            configure(parser)
            if "--json" in parser.format_help():
                needed = [one for one in parser._actions if not one.option_strings and one.nargs not in ("?", "*")]
                yield (*name, *(str(next(iter(one.choices or ["x"]))) for one in needed), "--json")


# They tell what is wrong in a result of their own, or need one thing or another beside it.
OF_THEIR_OWN = {("doctor",), ("service", "status")}
MORE = {
    "run": ("hi",), "delete-documents": ("--id", "d-1", "-y"), "history": ("s-1",), "ingest": ("/nowhere",),
    "jobs": ("--every", "day at 08:30"), "scheduler": ("--list",), "trust": ("--list",),
}  # fmt: skip


@pytest.mark.parametrize("words", [*lines_with_json()], ids=" ".join)
def test_what_goes_wrong_is_json_too_for_whoever_asked_for_it(cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
    serve()
    if words[0] in MORE and (words[0] != "jobs" or words[1] == "add"):
        words = (*words[:-1], *MORE[words[0]], "--json")
    if words[:2] == ("sessions", "show"):
        words = (*words[:-1], "s-1", "--json")
    status, out, err = cli(*words)
    assert out.count("\n") == 1
    told = json.loads(out)
    if any(words[: len(own)] == own for own in OF_THEIR_OWN):
        assert "error" not in told
        return
    assert status == told["error"]["exit_status"] != 0
    assert told["error"]["message"] in err
    assert err.count("\n") >= 1


@pytest.mark.parametrize("words", [("run", "hi"), ("attach", "t-1"), ("sessions",), ("status",)])
def test_what_was_typed_wrong_is_json_too(cli: Cli, words: tuple[str, ...]) -> None:
    hint = f"see agentgw {words[0]}{' list' if words[0] == 'sessions' else ''} --help"
    told = {"error": {"message": "unrecognized arguments: --nonsense", "exit_status": 2, "hint": hint}}
    for asked in (("--json",), ("--output-format", "json"), ("--output-format=stream-json",))[
        : 3 if "hi" in words else 1
    ]:
        status, out, err = cli(*words, "--nonsense", *asked)
        assert (status, json.loads(out), err.count("\n")) == (2, told, 1)
    # Neither a form that is text nor a word behind the end of the options asks for it.
    assert cli(*words, "--nonsense", "--output-format", "text")[1] == ""
    assert cli(*words, "--nonsense", "--", "--json")[1] == ""


def test_an_interruption_and_a_fault_of_ours_are_json_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, told in (
        (KeyboardInterrupt(), {"message": "interrupted", "exit_status": 130}),
        (ZeroDivisionError("x"), {
            "message": "internal error: ZeroDivisionError: x", "exit_status": 1, "hint": "please report it",
        }),
    ):  # fmt: skip

        def broken(verb: str, error: BaseException = error) -> object:
            raise error

        monkeypatch.setattr("agentgw.cli.main.load", broken)
        status, out, _ = cli("status", "--json")
        assert (status, json.loads(out)) == (told["exit_status"], {"error": told})


def test_each_error_gives_its_own_exit_status(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(LocalError):
        exit_status = 42

    for error, status in ((Odd("x"), 42), (UsageError("x"), 2), (KeyboardInterrupt(), 130), (BrokenPipeError(), 141)):

        def broken(verb: str, error: BaseException = error) -> object:
            raise error

        monkeypatch.setattr("agentgw.cli.main.load", broken)
        monkeypatch.setattr("agentgw.cli.output.abandon_stdout", lambda: None)
        assert cli("status")[0] == status


def test_alone_it_runs_what_is_piped_in(agentgw: Run, serve: Serve) -> None:
    daemon = serve({"turn.start": lambda peer, params: peer.delta(params["message"]) or {}})
    done = agentgw(stdin="hello\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    assert daemon.params("turn.start")["message"] == "hello"


def test_alone_without_input_it_says_what_to_do(agentgw: Run) -> None:
    done = agentgw()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'agentgw: there is no message. try: agentgw run "why is the sky blue?"\n'


def test_alone_on_a_terminal_it_becomes_the_shell(tmp_path: Path) -> None:
    # A shell that only says how it was started stands for the real one.
    shell = tmp_path / "python"
    shell.write_text('#!/bin/sh\necho "shell: $@"\n')
    shell.chmod(0o755)
    for words, flags in (
        ((), ""),
        (("chat", "-s", "quick-assistant", "-m", "echo", "-c"), "--skill quick-assistant --model echo --continue"),
        (("chat", "--session", "01JD"), "--session 01JD"),
    ):
        script = (
            f"import sys; from agentgw.cli.main import run; sys.executable = {str(shell)!r}; "
            f"sys.exit(run({list(words)!r}))"
        )
        assert run_on_terminal(script).strip() == f"shell: -P -m agentgw_shell {flags}".strip()


def run_on_terminal(script: str) -> str:
    """The output of a Python script with a terminal as its standard input."""
    master, slave = os.openpty()
    with subprocess.Popen([sys.executable, "-c", script], stdin=slave, stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
    os.close(slave)
    os.close(master)
    return out


def test_the_daemon_is_served_by_becoming_it(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "daemon: $@"\n')
    program.chmod(0o755)
    script = f"import sys; from agentgw.cli.main import run; sys.executable = {str(program)!r}; run(['serve'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "daemon: -P -m agentgw_daemon --foreground\n"


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["serve", "--http"], "--http"),
        (["serve", "--host", "0.0.0.0", "--port", "8080"], "--port=8080 --host=0.0.0.0"),
        (["web"], "--port=8080 --host=127.0.0.1"),
        (["web", "--host", "0.0.0.0", "--port", "3000"], "--port=3000 --host=0.0.0.0"),
    ],
)
def test_the_flags_of_http_are_handed_on(tmp_path: Path, words: list[str], flags: str) -> None:
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "daemon: $@"\n')
    program.chmod(0o755)
    script = f"import sys; from agentgw.cli.main import run; sys.executable = {str(program)!r}; run({words!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == f"daemon: -P -m agentgw_daemon --foreground {flags}\n"
    assert ("old spelling" in done.stderr) == (words[0] == "web")


def test_a_closed_stdout_ends_with_the_status_of_a_broken_pipe(home: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "agentgw", "--help"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_the_module_and_the_console_script_are_the_same(agentgw: Run) -> None:
    script = Path(sys.executable).parent / "agentgw"
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.stdout == agentgw("--version").stdout == f"agentgw {__version__}\n"


def test_sudo_is_refused_with_78_and_nothing_is_made(agentgw: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be root")
    monkeypatch.setenv("SUDO_UID", "1000")
    for words in (("run", "hi"), ("start",), ("status",), ("doctor",)):
        done = agentgw(*words)
        assert done.returncode == (1 if words == ("doctor",) else 78)
        assert "sudo" in done.stderr + done.stdout
    assert not home.exists()


def test_a_home_that_cannot_be_written_is_one_line(agentgw: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTGW_HOME")
    monkeypatch.setenv("HOME", "/proc")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    done = agentgw("run", "hi")
    assert done.returncode == 78
    assert done.stderr.startswith("agentgw: /proc/")
    assert done.stderr.count("\n") == 1
