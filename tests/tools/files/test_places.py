"""Place of a path, who has to be asked, and what is denied whoever agrees."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from agentgw.protocol.errors import InvalidParams
from agentgw.protocol.records.schema import bind
from agentgw_daemon.config.settings import ToolsSection
from agentgw_daemon.tools.builtin import BUILTIN
from agentgw_daemon.tools.builtins.read_file import READ_FILE
from agentgw_daemon.tools.files.places import (
    denied_of,
    needs_approval,
    open_any,
    open_directory,
    open_file,
    place_of,
    roots_of,
)
from agentgw_daemon.tools.tool import CallFailed, ToolContext


def text(path: str, context: ToolContext) -> str:
    with open_file(place_of(path, context), context) as fd:
        return os.read(fd, 1000).decode()


def refusal(path: str, context: ToolContext) -> str:
    with pytest.raises(CallFailed) as caught:
        text(path, context)
    return caught.value.text


def test_a_path_is_inside_by_its_components_not_by_its_letters(context: ToolContext, root: Path) -> None:
    inside = {".": root, "a/b": root / "a/b", "a/../b": root / "b", str(root): root, f"/{root}/x": root / "x"}
    for path, whole in inside.items():
        assert place_of(path, context).path == whole
        assert place_of(path, context).root == root
    for path in ("..", "../root-evil/secret.txt", "/etc/passwd", "a/../../secret.txt", "~/notes", str(root) + "-evil"):
        assert place_of(path, context).root is None
    assert place_of("~/notes", context).path == Path(context.home) / "notes"


def test_the_innermost_root_counts(context: ToolContext, root: Path) -> None:
    both = replace(context, roots=(root, root / "sub"))
    assert place_of("sub/x", both).root == root / "sub"


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(context: ToolContext, path: str) -> None:
    with pytest.raises(CallFailed):
        place_of(path, context)


def test_reading_in_the_roots_asks_nobody(context: ToolContext) -> None:
    assert not needs_approval(READ_FILE.spec, context, {"path": "a.txt"})
    for path in ("../secret.txt", "/etc/passwd", ".env", "sub/.ENV.local", ".netrc"):
        assert needs_approval(READ_FILE.spec, context, {"path": path})
    assert not needs_approval(READ_FILE.spec, context, {"path": ".env.example"})


def test_whatever_changes_or_leaves_the_machine_asks(context: ToolContext) -> None:
    asking = {tool.spec.name for tool in BUILTIN if needs_approval(tool.spec, context, {})}
    assert asking == {"write_file", "edit_file", "run_command", "fetch_url"}


def test_with_the_working_directory_outside_of_the_roots_even_listing_it_asks(context: ToolContext, root: Path) -> None:
    away = replace(context, cwd=root.parent)
    assert {tool.spec.name for tool in BUILTIN if needs_approval(tool.spec, away, {})} > {"list_files", "search_text"}


def test_roots_are_the_configured_ones_without_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = roots_of([str(tmp_path / "link"), "~/real", str(tmp_path / "gone")], "/", str(tmp_path))
    assert found == (tmp_path / "real",)
    assert roots_of([], tmp_path / "link", "") == (tmp_path / "real",)


@pytest.mark.parametrize(("root", "fine"), [("/srv", True), ("~", True), ("~/x", True), ("x", False), ("~x", False)])
def test_a_configured_root_is_absolute_or_in_the_home(root: str, fine: bool) -> None:
    if fine:
        assert bind(ToolsSection, {"roots": [root]}).roots == (root,)
    else:
        with pytest.raises(InvalidParams):
            bind(ToolsSection, {"roots": [root]})


def test_a_link_that_leads_out_is_no_way_around_asking(context: ToolContext, root: Path) -> None:
    (root / "innocent").symlink_to("../secret.txt")
    (root / "etc").symlink_to("/etc")
    for path in ("innocent", "etc/passwd"):
        assert not needs_approval(READ_FILE.spec, context, {"path": path})
        assert "leads out" in refusal(path, context)


def test_outside_of_the_roots_exactly_what_was_agreed_to_is_opened(context: ToolContext, root: Path) -> None:
    (root.parent / "link").symlink_to("secret.txt")
    assert "secret" in text("../secret.txt", context)
    assert refusal("../link", context).endswith(f"name {root.parent}/secret.txt")


def test_a_link_to_a_file_that_is_asked_for_is_refused(context: ToolContext, root: Path) -> None:
    (root / ".env").write_text("TOKEN=1")
    (root / "settings").symlink_to(".env")
    assert "name that file itself" in refusal("settings", context)
    assert text(".env", context) == "TOKEN=1"


@pytest.mark.parametrize(
    "path", [".agentgw/config/config.toml", ".agentgw/data/agentgw.db", "way/config.toml", "db", "~/.ssh/id_ed25519"]
)
def test_our_own_files_are_denied_by_every_name(context: ToolContext, root: Path, path: str) -> None:
    (root / "way").symlink_to(".agentgw/config")
    (root / "db").symlink_to(".agentgw/data/agentgw.db")
    assert "no tool may touch it" in refusal(path, context)


def test_our_directories_are_denied_by_their_real_paths(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert denied_of([f"{tmp_path}/link", f"{tmp_path}/real", f"{tmp_path}/gone"]) == (
        tmp_path / "real",
        tmp_path / "gone",
    )


def test_a_directory_is_denied_by_identity_not_only_by_name(context: ToolContext, root: Path) -> None:
    """A root as on a disk without case, where other letters lead to the same directory."""
    named_otherwise = replace(context, denied=(root / "link-to-config",))
    (root / "link-to-config").symlink_to(".agentgw/config")
    assert "no tool may touch it" in refusal(".agentgw/config/config.toml", named_otherwise)


@pytest.mark.parametrize("path", ["server.key", "SERVER.KEY", ".ssh/config", ".SSH/config", "backup/.GnuPG/x"])
def test_keys_are_denied_by_name_in_any_case(context: ToolContext, root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("own secret")
    assert "no tool may touch it" in refusal(path, context)


def test_a_pem_file_is_denied_when_it_holds_a_private_key(context: ToolContext, root: Path) -> None:
    (root / "chain.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (root / "both.PEM").write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n")
    assert "CERTIFICATE" in text("chain.pem", context)
    assert "no tool may touch it" in refusal("both.PEM", context)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux")
@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/proc/{pid}/environ", "/proc/version", "/sys/kernel/mm", "/dev/null"]
)
def test_interfaces_of_the_kernel_are_denied(context: ToolContext, path: str) -> None:
    everywhere = replace(context, roots=(Path("/"),))
    for where in (context, everywhere):
        with pytest.raises((CallFailed, OSError)), open_any(place_of(path.format(pid=os.getpid()), where), where):
            pytest.fail("opened")


def test_what_is_no_file_is_refused_at_once(context: ToolContext, root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(root)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        assert "not a regular file" in refusal("fifo", context)
        assert "not a regular file" in refusal("socket", context)
    (root / "sub").mkdir()
    assert "is a directory" in refusal("sub", context)
    with pytest.raises(NotADirectoryError), open_directory(place_of("fifo", context), context):
        pytest.fail("opened")


def test_a_huge_file_is_refused_before_it_is_read(context: ToolContext, root: Path) -> None:
    with open(root / "sparse", "wb") as file:
        file.truncate(1 << 40)
    assert f"{1 << 40} bytes" in refusal("sparse", context)
