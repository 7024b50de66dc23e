"""Things that others may see: file modes, keys, the bodies of messages in the log."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home

pytestmark = pytest.mark.e2e

CANARY = "sk-canary-4e1f0a"


def test_after_a_run_every_file_is_the_users_alone(model_home: Home) -> None:
    home = model_home
    assert home.run("run", "--system", "", "-o", "max_tokens=1", "Hi").status == 0
    home.ask("doctor", "--json")
    home.ask("restart")
    for path in (home.path, *home.path.rglob("*")):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            continue
        expected = 0o700 if stat.S_ISDIR(status.st_mode) else 0o600
        assert (str(path), oct(stat.S_IMODE(status.st_mode))) == (str(path), oct(expected))


def test_a_key_goes_to_its_endpoint_and_nowhere_else(home: Home, endpoint: Endpoint) -> None:
    home.configure(endpoint.config + 'api_key_env = "CANARY_KEY"\n[log]\nlevel = "debug"\n')
    home.add_starter_model()
    key = {"CANARY_KEY": CANARY}
    child = home.start("run", "-m", "scripted/m", "go", environ=key)
    conversation = endpoint.next()
    assert conversation.authorization == f"Bearer {CANARY}"
    conversation.end("done")
    assert home.finish(child).out == "done\n"
    assert home.run("run", "--system", "", "-o", "max_tokens=1", "Hi").status == 0
    said = [
        home.ask("config", "show", "--json"),
        home.ask("status", "--json"),
        home.run("doctor", "--json").out,
        home.ask("models", "--json"),
        json.dumps(home.call("turn.list")),
    ]
    assert home.workers()
    for pid in home.workers():
        assert CANARY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    for pid, command in home.processes().items():
        assert CANARY not in command, pid
    assert CANARY not in "".join(said)
    assert CANARY not in home.log
    home.stop()
    for path in home.path.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert CANARY.encode() not in path.read_bytes(), path


def test_an_endpoint_that_repeats_the_key_does_not_spread_it(home: Home, endpoint: Endpoint) -> None:
    home.configure(endpoint.config + 'api_key_env = "CANARY_KEY"\n[log]\nlevel = "debug"\n')
    child = home.start("run", "-m", "scripted/m", "go", environ={"CANARY_KEY": CANARY})
    conversation = endpoint.next()
    conversation.fail(f"invalid key {CANARY}")
    done = home.finish(child)
    assert done.status == 4
    assert CANARY not in done.out + done.err
    assert CANARY not in home.log


def test_what_the_daemon_starts_is_given_no_key_and_cannot_read_one(home: Home) -> None:
    home.configure('[providers.p]\nbase_url = "http://127.0.0.1:9/v1"\napi_key_env = "CANARY_KEY"\n')
    seen = {"argv": ["/bin/sh", "-c", "env; cat /proc/$PPID/environ | tr '\\0' '\\n'; echo " + CANARY]}
    child = home.run(
        "tools", "call", "run_command", json.dumps(seen), "--approve", "run_command", environ={"CANARY_KEY": CANARY}
    )
    assert child.status == 0, child
    assert CANARY not in child.out + child.err
    assert "***" in child.out
    if os.geteuid():
        assert "AGENTGW_SPAWNED" not in child.out


def test_messages_are_not_in_the_log(home: Home) -> None:
    home.ask("run", "-m", "echo", "my private question")
    home.run("run", "-m", "echo", "-s", "nosuch", "another private question")
    assert "private question" not in home.log


def test_daemon_and_workers_leave_no_core_file(model_home: Home) -> None:
    model_home.call("model.load", model="smollm2:135m")
    for pid in (*model_home.daemons(), *model_home.workers()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        (line,) = (one for one in limits.splitlines() if one.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"]
