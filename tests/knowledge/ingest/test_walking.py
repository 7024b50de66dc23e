"""Files that a folder gives, and what is said of the rest."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from agentgw_daemon.knowledge.ingest import walking
from agentgw_daemon.knowledge.ingest.forbidden import Forbidden
from agentgw_daemon.knowledge.ingest.walking import Harvest, harvest

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"


def walk(*paths: Path | str, exclude: tuple[str, ...] = (), own: tuple[Path, ...] = (), home: str = "") -> Harvest:
    return harvest([str(path) for path in paths], exclude, Forbidden(own=own, environ={"HOME": home}))


def sources(found: Harvest, root: Path) -> list[str]:
    return [one.source.removeprefix(f"{root}/") for one in found.files]


def reasons(found: Harvest, root: Path) -> dict[str, str]:
    return {one.source.removeprefix(f"{root}/"): one.reason for one in found.failed}


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def test_a_folder_gives_its_files_in_order_with_what_stat_said(tmp_path: Path) -> None:
    fill(tmp_path, "b.txt", "a/z.txt", "a/c/d.txt", "c.txt")
    found = walk(tmp_path)
    assert sources(found, tmp_path) == ["b.txt", "c.txt", "a/z.txt", "a/c/d.txt"]
    status = (tmp_path / "b.txt").stat()
    first = found.files[0]
    assert (first.mtime_ns, first.size_bytes) == (status.st_mtime_ns, status.st_size)
    assert (found.roots, found.failed, found.skipped) == ([str(tmp_path)], [], 0)


def test_what_is_hidden_or_made_by_programs_is_counted_and_not_entered(tmp_path: Path) -> None:
    fill(
        tmp_path, "a.txt", ".hidden", ".git/x.txt", "node_modules/m/a.js", "env/pyvenv.cfg", "env/lib/a.py",
        "target/CACHEDIR.TAG", "target/a.txt", "__pycache__/a.txt",
    )  # fmt: skip
    found = walk(tmp_path)
    assert sources(found, tmp_path) == ["a.txt"]
    assert found.skipped == 6
    assert found.failed == []


def test_a_hidden_folder_or_file_is_taken_when_it_is_named(tmp_path: Path) -> None:
    fill(tmp_path, ".notes/a.txt", ".profile")
    assert sources(walk(tmp_path / ".notes", tmp_path / ".profile"), tmp_path) == [".notes/a.txt", ".profile"]


def test_links_to_folders_are_not_followed_so_a_loop_ends(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.txt", "in/sub/c.txt", "out/b.txt")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "away").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "self").symlink_to("self")
    (tmp_path / "in" / "inside").symlink_to("sub")
    found = walk(tmp_path / "in")
    assert sources(found, tmp_path) == ["in/a.txt", "in/sub/c.txt"]
    assert found.skipped == 2
    assert reasons(found, tmp_path) == {
        "in/away": f"is a link that leads out, to {tmp_path}/out; name that itself",
        "in/self": "too many levels of symbolic links",
    }


def test_a_file_is_taken_once_whatever_links_lead_to_it(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.txt", "other/b.txt")
    (tmp_path / "in" / "same").symlink_to("a.txt")
    (tmp_path / "in" / "chain").symlink_to("same")
    (tmp_path / "in" / "other").symlink_to(tmp_path / "other" / "b.txt")
    found = walk(tmp_path / "in", tmp_path / "other")
    assert sources(found, tmp_path) == ["in/a.txt", "other/b.txt"]
    assert found.failed == []


def test_a_link_that_leads_out_of_what_was_named_is_refused_also_by_a_chain(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.txt", "in/sub/b.txt", "home/.aws/credentials", "home/diary.txt")
    (tmp_path / "in" / "notes.txt").symlink_to(tmp_path / "home" / ".aws" / "credentials")
    (tmp_path / "in" / "chain.txt").symlink_to("sub/on")
    (tmp_path / "in" / "sub" / "on").symlink_to("../../home/diary.txt")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "home")
    found = walk(tmp_path / "in")
    assert sources(found, tmp_path) == ["in/a.txt", "in/sub/b.txt"]
    refused = reasons(found, tmp_path)
    assert refused.keys() == {"in/notes.txt", "in/chain.txt", "in/sub/on", "in/folder"}
    assert all("is a link that leads out, to " in reason for reason in refused.values())


def test_a_link_to_what_is_left_out_inside_does_not_bring_it_in(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt", ".hidden/b.txt", ".env", "secret.txt")
    (tmp_path / ".gitignore").write_text("secret.txt\n")
    for name, target in {"one": ".hidden/b.txt", "two": ".env", "three": "secret.txt"}.items():
        (tmp_path / name).symlink_to(target)
    found = walk(tmp_path)
    assert sources(found, tmp_path) == ["a.txt"]
    assert reasons(found, tmp_path) == dict.fromkeys(("one", "two", "three"), "is a link to a file that is left out")


def test_a_link_that_was_named_counts_where_it_stays_or_leads_into_a_root(tmp_path: Path) -> None:
    fill(tmp_path, "d/v2.txt", "d/sub/c.txt", "other/b.txt")
    (tmp_path / "d" / "current.txt").symlink_to("v2.txt")
    (tmp_path / "d" / "alias").symlink_to("sub")
    (tmp_path / "d" / "away").symlink_to("../other/b.txt")
    assert sources(walk(tmp_path / "d" / "current.txt", tmp_path / "d" / "alias"), tmp_path) == [
        "d/current.txt", "d/alias/c.txt",
    ]  # fmt: skip
    assert sources(walk(tmp_path / "d" / "away", tmp_path / "other"), tmp_path) == ["d/away"]
    found = walk(tmp_path / "d" / "away")
    assert found.files == []
    assert reasons(found, tmp_path) == {
        "d/away": f"is a link that leads out, to {tmp_path}/other/b.txt; name that itself"
    }


def test_a_path_that_was_named_leads_to_nothing_hidden_that_it_does_not_name(tmp_path: Path) -> None:
    fill(tmp_path, "d/.history", "d/.aws/credentials", "d/a.txt")
    for name, target in {"todo.txt": ".history", "aws": ".aws", "chain": "todo.txt"}.items():
        (tmp_path / "d" / name).symlink_to(target)
    for name in ("todo.txt", "aws", "chain", "aws/credentials"):
        found = walk(tmp_path / "d" / name)
        assert found.files == [], name
        assert reasons(found, tmp_path) == {
            f"d/{name}": "is a link into a hidden folder or to a hidden file; name that itself"
        }
    assert sources(walk(tmp_path / "d" / ".history", tmp_path / "d" / ".aws"), tmp_path) == [
        "d/.history", "d/.aws/credentials",
    ]  # fmt: skip


def test_a_home_may_lie_below_something_hidden(tmp_path: Path) -> None:
    fill(tmp_path, ".homes/me/notes/a.txt")
    (tmp_path / "me").symlink_to(".homes/me")
    home = str(tmp_path / "me")
    assert sources(walk(tmp_path / "me" / "notes", home=home), tmp_path) == ["me/notes/a.txt"]


@pytest.mark.parametrize(
    "secret", ["in/.env", "in/.ssh/id", "own/data/agentgw.db", "home/.aws/credentials", "home/.bash_history"]
)
def test_a_hard_link_to_a_secret_is_refused_in_a_folder_and_when_named(tmp_path: Path, secret: str) -> None:
    fill(tmp_path, secret, "in/a.txt", "in/b.txt")
    (tmp_path / "in" / "sub").mkdir()
    os.link(tmp_path / secret, tmp_path / "in" / "innocent.txt")
    os.link(tmp_path / "in" / "b.txt", tmp_path / "in" / "sub" / "same.txt")
    own, home = (tmp_path / "own",), str(tmp_path / "home")
    found = walk(tmp_path / "in", own=own, home=home)
    assert sources(found, tmp_path) == ["in/a.txt", "in/b.txt", "in/sub/same.txt"]
    said = "is a second name of a file that is hidden, or holds keys or agentgw's own data"
    assert reasons(found, tmp_path) == {"in/innocent.txt": said}
    if secret != "in/.ssh/id":
        assert reasons(walk(tmp_path / "in" / "innocent.txt", own=own, home=home), tmp_path) == {
            "in/innocent.txt": said
        }


def test_a_hard_link_to_a_private_key_beside_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.pem").write_text(KEY)
    os.link(tmp_path / "host.pem", tmp_path / "a.txt")
    assert walk(tmp_path).files == []
    assert list(reasons(walk(tmp_path), tmp_path)) == ["a.txt"]


def test_a_folder_that_becomes_a_link_during_the_walk_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "_CHECK_EVERY", 1)
    fill(tmp_path, "in/a.txt", "in/sub/b.txt", "home/diary.txt")

    def swap() -> None:
        if not (tmp_path / "in" / "sub").is_symlink():
            (tmp_path / "in" / "sub").rename(tmp_path / "moved")
            (tmp_path / "in" / "sub").symlink_to(tmp_path / "home")

    found = harvest([str(tmp_path / "in")], ("b.*",), Forbidden(own=(), environ={}), check=swap)
    assert sources(found, tmp_path) == ["in/a.txt"]
    assert list(reasons(found, tmp_path)) == ["in/sub"]


def test_a_folder_that_is_a_link_itself_is_followed_and_keeps_its_name(tmp_path: Path) -> None:
    fill(tmp_path, "real/a.txt")
    (tmp_path / "real" / "same").symlink_to("a.txt")
    (tmp_path / "alias").symlink_to("real")
    assert sources(walk(tmp_path / "alias"), tmp_path) == ["alias/a.txt"]


def test_a_file_named_twice_is_taken_once(tmp_path: Path) -> None:
    fill(tmp_path, "d/a.txt")
    assert sources(walk(tmp_path / "d" / "a.txt", tmp_path, f"{tmp_path}/d/../d/a.txt"), tmp_path) == ["d/a.txt"]


def test_what_is_no_regular_file_fails_at_once_with_its_kind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "sock"))
        found = walk(tmp_path, "/dev/null", tmp_path / "missing")
    assert reasons(found, tmp_path) == {
        "pipe": "is a pipe, not a file",
        "sock": "is a socket, not a file",
        "/dev/null": "is a device, not a file",
        "missing": "no such file or directory",
    }
    assert reasons(walk(tmp_path / "pipe"), tmp_path) == {"pipe": "is a pipe, not a file"}


def test_keys_and_passwords_are_left_out_of_a_folder(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt", "server.KEY", ".env", ".ssh/known", "sub/.GnuPG/ring", ".netrc")
    (tmp_path / "key.pem").write_text(KEY)
    (tmp_path / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert sources(walk(tmp_path), tmp_path) == ["a.txt", "cert.pem"]


@pytest.mark.parametrize("name", ["server.key", "key.pem", ".env", ".ssh/id", "home/.gnupg/ring", "own/agentgw.db"])
def test_keys_passwords_and_our_own_files_are_refused_when_named_and_behind_links(tmp_path: Path, name: str) -> None:
    fill(tmp_path, name)
    (tmp_path / name).write_text(KEY)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "innocent.txt").symlink_to(tmp_path / name)
    own, home = (tmp_path / "own",), str(tmp_path / "home")
    named = walk(tmp_path / name, own=own, home=home)
    linked = walk(tmp_path / "links", own=own, home=home)
    assert (named.files, linked.files) == ([], [])
    assert "passwords" in named.failed[0].reason or "keys" in named.failed[0].reason
    assert walk(tmp_path / "links" / "innocent.txt", own=own, home=home).files == []


def test_our_own_directories_are_left_out_however_they_are_reached(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt", "own/data/agentgw.txt")
    assert sources(walk(tmp_path, own=(tmp_path / "own",)), tmp_path) == ["a.txt"]
    assert reasons(walk(tmp_path / "own", own=(tmp_path / "own",)), tmp_path) == {
        "own": "holds keys or agentgw's own data"
    }
    assert reasons(walk(tmp_path / "own" / "data", own=(tmp_path / "own",)), tmp_path) == {
        "own/data": "holds keys or agentgw's own data"
    }


def test_where_a_link_leads_is_said_so_that_anything_can_show_it(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.txt")
    os.symlink(os.fsencode(tmp_path) + b"/\x1b[2Jcaf\xe9", tmp_path / "in" / "link")
    (tmp_path / os.fsdecode(b"\x1b[2Jcaf\xe9")).write_text("x")
    said = reasons(walk(tmp_path / "in"), tmp_path)["in/link"]
    assert said.isascii()
    assert said.isprintable()


def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    with open(raw, "w") as file:
        file.write("x")
    (found,) = walk(tmp_path).files
    assert os.fsencode(found.source) == os.fsencode(found.path) == raw


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt", "shut/b.txt")
    (tmp_path / "shut").chmod(0)
    try:
        found = walk(tmp_path)
    finally:
        (tmp_path / "shut").chmod(0o700)
    assert sources(found, tmp_path) == ["a.txt"]
    assert reasons(found, tmp_path) == {"shut": "permission denied"}


def test_too_many_files_are_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_FILES", 2)
    fill(tmp_path, "a", "b", "c", "d")
    found = walk(tmp_path)
    assert sources(found, tmp_path) == ["a", "b"]
    assert reasons(found, tmp_path) == {str(tmp_path): "more than 2 files at once; ingest the folders in it one by one"}


def test_a_walk_ends_when_its_check_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_CHECK_EVERY", 2)
    fill(tmp_path, "a", "b", "c")

    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    with pytest.raises(Enough):
        harvest([str(tmp_path)], (), Forbidden(own=(), environ={}), check=check)
