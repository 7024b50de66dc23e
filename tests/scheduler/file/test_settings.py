"""One entry: every key, with its type, bounds and default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgw_daemon.scheduler.job import Notify
from agentgw_daemon.scheduler.schedules.cron import Cron
from agentgw_daemon.scheduler.schedules.schedule import At, OnPath
from tests.scheduler.made import HOME, contents


def read(keys: str, schedule: str = "every: day") -> Any:
    text = f"jobs:\n  - name: a\n    message: hello\n    {schedule}\n"
    return contents(text + "".join(f"    {line}\n" for line in keys.splitlines()))


@pytest.mark.parametrize(
    ("keys", "field", "value"),
    [
        ("", "misfire", "run_once"),
        ("misfire: skip", "misfire", "skip"),
        ("", "overlap", "skip"),
        ("overlap: queue", "overlap", "queue"),
        ("", "grace_s", None),
        ("grace_s: 0", "grace_s", 0.0),
        ("grace_s: 1.5", "grace_s", 1.5),
        ("jitter_s: '300'", "jitter_s", 300.0),
        ("", "jitter_s", 0.0),
        ("timeout_s: 60", "timeout_s", 60.0),
        ("timeout_s: ~", "timeout_s", None),
        ("retries: 3", "retries", 3),
        ("", "approvals", None),
        ("approvals: deny", "approvals", ()),
        ("approvals: []", "approvals", ()),
        ("approvals: [shell, web]", "approvals", ("shell", "web")),
        ("approvals: shell", "approvals", ("shell",)),
        ("needs: [network, ac]", "needs", frozenset({"network", "ac"})),
        ("needs: idle", "needs", frozenset({"idle"})),
        ("power: ac", "needs", frozenset({"ac"})),
        ("power: any\nneeds: [unmetered]", "needs", frozenset({"unmetered"})),
        ("enabled: off", "enabled", False),
        ("enabled: 'TRUE'", "enabled", True),
        ("enabled:", "enabled", True),
        ("log_output: Yes", "log_output", True),
        ("skill: helper", "skill", "helper"),
        ("skill_name: helper", "skill", "helper"),
        ("model: echo", "model", "echo"),
        ("notify: desktop", "notify", Notify(channels=("desktop",))),
        ("notify: [webhook, {mail: 'mail -s \"a job\" me'}]", "notify",
         Notify(channels=("webhook",), mail=("mail", "-s", "a job", "me"))),
        ("notify: {mail: '~/bin/tell ~/me'}", "notify", Notify(mail=(f"{HOME}/bin/tell", "~/me"))),
        ("notify:\n  mail: [mail, me]", "notify", Notify(mail=("mail", "me"))),
        ("files: [~/inbox, /tmp/x]", "files", (str(HOME / "inbox"), "/tmp/x")),
        ("cwd: ~", "cwd", None),
        ("cwd: ~/project", "cwd", HOME / "project"),
    ],
)  # fmt: skip
def test_keys_have_their_values(keys: str, field: str, value: object) -> None:
    found = read(keys)
    assert not found.problems
    assert getattr(found.jobs[0], field) == value


def test_the_zone_is_that_of_its_name() -> None:
    assert read("tz: Asia/Tokyo").jobs[0].zone.key == "Asia/Tokyo"
    assert read("").jobs[0].zone is None


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("cron_expression: '@daily'", Cron(text="@daily", fields="0 0 * * *")),
        ("cron: 0 0 * * *", Cron(text="0 0 * * *", fields="0 0 * * *")),
        ("on: ~/inbox", OnPath(path=HOME / "inbox", settle_s=10.0)),
        ("'on': /data/in.csv\n    settle_s: 2", OnPath(path=Path("/data/in.csv"), settle_s=2.0)),
    ],
)
def test_schedules_are_read(schedule: str, expected: object) -> None:
    assert read("", schedule).jobs[0].schedule == expected


def test_a_time_without_quotes_is_read() -> None:
    assert isinstance(read("", "at: 2027-05-01T09:00:00+02:00").jobs[0].schedule, At)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("grace_s: soon", "grace_s: 'soon' is no number of seconds"),
        ("grace_s: -1", "grace_s"),
        ("grace_s: .inf", "grace_s"),
        ("grace_s: .nan", "grace_s"),
        ("grace_s: 1e9", "grace_s"),
        ("grace_s: 999999999999", "to 31622400"),
        ("grace_s: [1]", "must be a text"),
        ("jitter_s: 90000", "to 86400"),
        ("timeout_s: 0", "more than 0"),
        ("retries: 1.5", "no whole number from 0 to 10"),
        ("retries: 11", "no whole number"),
        ("retries: -1", "no whole number"),
        ("retries: ٣", "no whole number"),
        ("misfire: once", "none of run_once, skip"),
        ("overlap: {}", "must be a text"),
        ("enabled: maybe", "neither true nor false"),
        ("enabled: 1", "neither true nor false"),
        ("needs: [power]", "none of network, unmetered, ac, idle"),
        ("needs: {network: true}", "list of words"),
        ("power: mains", "none of any, ac"),
        ("approvals: [deny, shell]", "not both"),
        ("approvals: [[shell]]", "list of words"),
        ("approvals: ['']", "list of words"),
        ("approvals: [*x]", "aliases"),
        ("notify: pigeon", "none of desktop, webhook"),
        ("notify: {sms: me}", "mail: command"),
        ("notify: {mail: ''}", "is empty"),
        ("notify: {mail: 'a \"b'}", "mail"),
        ("tz: Europe/Berln", "did you mean Europe/Berlin"),
        ("tz: [UTC]", "must be a text"),
        ("settle_s: 3", "belongs to `on`"),
        ("cron_expression: '* * * * *'", "already"),
        ("skill: a\nskill_name: b", "the same key"),
        ("files: [inbox]", "not absolute"),
        ("cwd: project", "not absolute"),
        ("cwd: ~root/x", "not absolute"),
        ("files: [" + ", ".join(f"/f{n}" for n in range(101)) + "]", "more than 100"),
        ("nmae: x", "did you mean name?"),
        ("zzz: x", "unknown key 'zzz'"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(keys: str, reason: str) -> None:
    found = read(keys)
    assert found.jobs == ()
    assert reason in found.problems[0].reason
    assert found.problems[0].line >= 2


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("message: x", "no name"),
        ("name: a", "no message"),
        ("name: ''\n    message: x", "no name"),
        ("name: [a]\n    message: x", "must be a text"),
        ("name: " + "n" * 101 + "\n    message: x", "more than 100"),
        ('name: "a\\nb"\n    message: x', "cannot be shown"),
        ('name: "\\u202eevil"\n    message: x', "cannot be shown"),
        ("name: --all\n    message: x", "begins with a dash"),
        ("name: a\n    message: {b: c}", "must be a text"),
        ("name: a\n    message: '  '", "no message"),
        ("name: a\n    message: " + "m" * 100_001, "more than 100000"),
    ],
)
def test_name_and_message_are_wanted_and_bounded(head: str, reason: str) -> None:
    found = contents(f"jobs:\n  - {head}\n    every: day\n")
    assert found.jobs == ()
    assert reason in found.problems[0].reason


@pytest.mark.parametrize("message", ["123", "true", "2027-01-01", "1.10"])
def test_a_message_is_the_text_that_was_written(message: str) -> None:
    (job,) = contents(f"jobs:\n  - name: 7\n    message: {message}\n    every: day\n").jobs
    assert (job.name, job.message) == ("7", message)
