"""The file that a user writes, the predecessor's and a stranger's."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

import pytest

from agentgw_daemon.webhooks.hook import EVENTS, Hook, routes
from agentgw_daemon.webhooks.hooks_file import MOST_HOOKS, hooks_of, read_hooks
from tests.webhooks.receiver import SECRET

GOOD = "  - name: good\n    url: https://example.org/\n    events: [agent.started]\n"


def one(text: str, **environ: str) -> Hook:
    hooks, problems = hooks_of(f"webhooks:\n  - {text}\n", environ)
    assert problems == ()
    (hook,) = hooks
    return hook


def problem(text: str) -> tuple[int, str]:
    """The one problem of an entry before which and behind which others are."""
    hooks, problems = hooks_of(f"webhooks:\n{GOOD}  - {text}\n{GOOD.replace('good', 'last')}", {})
    assert [hook.name for hook in hooks] == ["good", "last"]
    (found,) = problems
    return found.line, found.reason


def test_the_predecessors_file_works_as_it_is() -> None:
    text = f"""
webhooks:
  - name: "build"
    url: "https://ci.example.org/hooks/agent"
    events:
      - agent.completed
      - job.finished
    secret: "{SECRET}"
    enabled: true
  - name: off
    url: https://example.org
    events: [agent.failed]
    secret: null
    enabled: false
"""
    (build, off), problems = hooks_of(text, {})
    assert problems == ()
    assert (build.events, build.secrets, build.enabled) == (("agent.completed", "job.finished"), (SECRET,), True)
    assert (off.secrets, off.enabled) == ((), False)
    assert routes((build, off)) == {"agent.completed": ("build",), "job.finished": ("build",)}


def test_every_event_is_a_star() -> None:
    assert one("name: a\n    url: https://x.org/\n    events: '*'").events == EVENTS


def test_a_secret_may_be_a_variable_and_have_one_before_it() -> None:
    text = "name: a\n    url: https://x.org/\n    events: '*'\n    secret: $NEW\n    previous_secret: ${OLD}"
    assert one(text, NEW="new", OLD=SECRET).secrets == ("new", SECRET)


URL = "https://x.org/"
EVENT = "events: [agent.started]"


@pytest.mark.parametrize(
    ("entry", "line", "reason"),
    [
        (f"url: {URL}\n    {EVENT}", 5, "the webhook has no name"),
        (f"name: a\n    {EVENT}", 5, "a: the webhook has no url"),
        (f"name: a\n    url: {URL}", 5, "a: the webhook has no events: some of"),
        (f"name: a\n    url: {URL}\n    events: []", 5, "a: the webhook has no events"),
        (f"name: a\n    url: {URL}\n    events: [agent.start]", 7, "a: events: there is no event 'agent.start'; did"),
        (f"name: a\n    url: http://x.org\n    {EVENT}", 6, "a: url: must be https; http is for local receivers"),
        (f"name: a\n    url: ftp://x.org\n    {EVENT}", 6, "a: url: must begin with https://"),
        (f"name: a\n    url: unix:///run/x\n    {EVENT}", 6, "a: url: must begin with https://"),
        (f"name: a\n    url: x.org\n    {EVENT}", 6, "a: url: must begin with https://"),
        (f"name: a\n    url: https://me:pw@x.org\n    {EVENT}", 6, "a: url: must not have a user name"),
        (f"name: a\n    url: https://me@x.org\n    {EVENT}", 6, "a: url: must not have a user name"),
        (f"name: a\n    url: https:///path\n    {EVENT}", 6, "a: url: has no host"),
        (f"name: a\n    url: https://x.org:99999\n    {EVENT}", 6, "a: url: is no address"),
        (f"name: a\n    url: https://x.org:0/\n    {EVENT}", 6, "a: url: has no host"),
        (f"name: a\n    url: 'https://[::1'\n    {EVENT}", 6, "a: url: is no address"),
        (f'name: a\n    url: "https://x.org/\\r\\nHost: y"\n    {EVENT}', 6, "a: url: has blanks or characters"),
        (f"name: a\n    url: https://x.org/a b\n    {EVENT}", 6, "a: url: has blanks"),
        (f"name: a\n    url: {URL}\n    {EVENT}\n    secret: whsec_%%%", 8, "a: secret: what follows whsec_ is not"),
        (f"name: a\n    url: {URL}\n    {EVENT}\n    secret: $NIX", 8, "a: secret: the environment variable NIX is"),
        (f"name: a\n    url: {URL}\n    {EVENT}\n    previous_secret: x", 8, "a: previous_secret: there is no secret"),
        (f"name: a\n    url: {URL}\n    {EVENT}\n    enabled: perhaps", 8, "a: enabled: 'perhaps' is neither"),
        (f"name: a\n    url: {URL}\n    {EVENT}\n    secrets: x", 8, "a: unknown key 'secrets'; did you mean secret?"),
        (f"name: good\n    url: {URL}\n    {EVENT}", 5, "good: the name 'good' is taken by the webhook in line 2"),
        (f"name: !!python/object:os.system a\n    url: {URL}\n    {EVENT}", 5, "name: tags (!name) are not allowed"),
        (f"name: &x a\n    url: *x\n    {EVENT}", 5, "name: anchors (&name) are not allowed"),
        ("just words", 5, "an entry is a mapping"),
        (f"name: a\n    url: {URL}\n    url: {URL}", 7, "key 'url' is given twice"),
    ],
)
def test_a_bad_entry_is_told_with_its_line_and_the_others_work(entry: str, line: int, reason: str) -> None:
    found = problem(entry)
    assert found[0] == line
    assert found[1].startswith(reason)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"), ("0177.0.0.1", "127.0.0.1"), ("0x7f.1", "127.0.0.1"), ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"), ("127.0.0.1.", "127.0.0.1"), ("localhost", "127.0.0.1"),
        ("LOCALHOST.", "127.0.0.1"), ("a.localhost:8443", "127.0.0.1"), ("0", "0.0.0.0"), ("[::]", "::"),
        ("[::1]:443", "::1"), ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"), ("10.1", "10.0.0.1"),
        ("169.254.169.254", "169.254.169.254"), ("[fd00:ec2::254]", "fd00:ec2::254"),
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_told_before_anything_is_sent(host: str, address: str) -> None:
    line, told = problem(f"name: a\n    url: https://{host}/in\n    {EVENT}")
    assert line == 6
    assert ip_address(told.partition("leads to ")[2].partition(",")[0]) == ip_address(address)
    assert told.endswith("which is not on the public internet, and the webhook does not have `allow_local: true`")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://93.184.216.34/", "on this machine or a private network; beyond them, https it is"),
        ("http://169.254.169.254/", "on this machine or a private network; beyond them, https it is"),
        ("https://169.254.169.254./", "on this machine, a private network or the public internet"),
        ("https://[fd00:ec2::254]/", "on this machine, a private network or the public internet"),
    ],
)
def test_a_local_receiver_is_judged_by_its_address_too(url: str, where: str) -> None:
    told = problem(f"name: a\n    url: {url}\n    {EVENT}\n    allow_local: true")[1]
    assert told.endswith(f"which is not {where}")


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("https://93.184.216.34/", "false"), ("https://[2606:4700::1111]/", "false"), ("https://x.org./", "false"),
        ("https://08.8.8.8.example/", "false"), ("http://127.1:9000/", "true"), ("http://localhost:9000/", "true"),
        ("https://localhost/", "true"), ("https://10.0.0.7/", "true"), ("http://[::1]/", "true"),
    ],
)  # fmt: skip
def test_what_may_be_sent_to_is_taken(url: str, local: str) -> None:
    assert one(f"name: a\n    url: '{url}'\n    events: '*'\n    allow_local: {local}").url == url


@pytest.mark.parametrize(
    "entry",
    [
        f"name: a\n    url: https://x.org\n    events: [x]\n    secret: {SECRET}",
        f"name: a\n    url: https://user:{SECRET}@x.org\n    events: '*'",
        f"name: a\n    url: https://x.org\n    events: [{SECRET}]",
        f"name: a\n    url: https://x.org\n    events: '*'\n    {SECRET}: secret",
        f"name: a\n    url: https://x.org\n    events: '*'\n    enabled: {SECRET}",
    ],
)
def test_no_secret_is_quoted(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "webhooks.yaml"
    path.write_text(f"webhooks:\n  - {entry}\n")
    (told,) = read_hooks(path, {}).problems
    assert SECRET[8:] not in told
    assert told.startswith(f"{path}:")


def test_no_file_is_no_webhook(tmp_path: Path) -> None:
    found = read_hooks(tmp_path / "none.yaml", {})
    assert (found.hooks, found.problems) == ((), ())


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.yaml"
    path.mkdir()
    assert read_hooks(path, {}).problems == (f"{path}:1: Is a directory",)
    path.rmdir()
    path.write_bytes(b"#" * 1_000_000)
    assert "is larger than 64 KiB" in read_hooks(path, {}).problems[0]
    path.write_bytes(b"webhooks:\n\xff")
    assert "is not UTF-8 in line 2" in read_hooks(path, {}).problems[0]
    os.unlink(path)
    os.mkfifo(path)
    assert "is no file" in read_hooks(path, {}).problems[0]


def test_so_many_webhooks_and_no_more() -> None:
    text = "webhooks:\n" + "".join(GOOD.replace("good", f"h{n}") for n in range(MOST_HOOKS + 5))
    hooks, problems = hooks_of(text, {})
    assert len(hooks) == MOST_HOOKS
    assert [one.reason for one in problems] == [f"a file holds at most {MOST_HOOKS} webhooks"]


def test_secrets_and_keys_in_addresses_are_known_to_be_hidden(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.yaml"
    path.write_text(
        "webhooks:\n  - name: a\n    url: https://hooks.example.org/services/T00000000/XXXXXXXXXXXXXXXXXXXXXXXX?k=short\n"
        f"    events: '*'\n    secret: {SECRET}\n"
    )
    found = read_hooks(path, {})
    assert found.secrets == {SECRET, SECRET.removeprefix("whsec_"), "XXXXXXXXXXXXXXXXXXXXXXXX"}
    (hook,) = found.hooks
    assert hook.host == "https://hooks.example.org"
    assert "XXXX" not in repr(hook)
    assert SECRET not in repr(found)


def test_a_file_that_others_may_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.yaml"
    path.write_text("webhooks:\n" + GOOD)
    os.chmod(path, 0o600)
    assert not read_hooks(path, {}).exposed
    os.chmod(path, 0o644)
    assert read_hooks(path, {}).exposed
