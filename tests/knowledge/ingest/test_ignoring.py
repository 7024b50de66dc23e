"""Ignore files, held against git itself where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw_daemon.knowledge.ingest import ignoring, work_trees
from agentgw_daemon.knowledge.ingest.forbidden import Forbidden
from agentgw_daemon.knowledge.ingest.ignoring import ignoring_of
from agentgw_daemon.knowledge.ingest.walking import harvest


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path, *exclude: str, at: str = "", home: Path | None = None) -> set[str]:
    environ = {} if home is None else {"HOME": str(home), "GIT_CONFIG_SYSTEM": ""}
    found = harvest([str(root / at)], exclude, Forbidden(own=(), environ=environ))
    return {found.source.removeprefix(f"{root}/") for found in found.files}


TREE = {
    ".gitignore": "*.log\n/build/\n!important.log\nnotes/**/draft*\n\n# comment\n*.tm[px]\n\\#odd\ntrailing \n",
    "a.txt": "", "a.log": "", "important.log": "", "x.tmp": "", "x.tmz": "", "#odd": "", "trailing": "",
    "build/out.txt": "", "sub/build/out.txt": "",
    "notes/draft.md": "", "notes/deep/er/draft2.md": "", "notes/final.md": "",
    "sub/.gitignore": "!*.log\nlocal.txt\ndeep/\n", "sub/b.log": "", "sub/local.txt": "", "local.txt": "",
    "sub/deep/c.txt": "", "sub/deep/.gitignore": "!c.txt\n",
    "hidden/by/info.txt": "",
}  # fmt: skip


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git_names(root: Path, repository: Path) -> set[str]:
    """The files that git would take of a folder, but for hidden names, which we leave out."""
    listed = subprocess.run(
        ("git", "--git-dir", str(repository), "--work-tree", str(root), "ls-files", "-o", "--exclude-standard", "-z"),
        env=os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"},
        check=True, capture_output=True, text=True, cwd=root,
    ).stdout  # fmt: skip
    return {name for name in listed.split("\0") if name and not Path(name).name.startswith(".")}


@needs_git
def test_the_files_of_a_work_tree_are_those_that_git_would_take(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    subprocess.run(("git", "-C", str(tmp_path), "init", "-q"), check=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("hidden/\n")
    expected = git_names(tmp_path, tmp_path / ".git")
    assert names(tmp_path) == expected
    assert "hidden/by/info.txt" not in expected


FOLDERS = ("", "a/", "a/b/", "b/", "b/a/c/")
LINES = (
    "*", "!*/", "!*.c", "*.c", "!a", "a", "a/", "/a", "!/a/b", "b/", "/b/a", "a/b", "a/*", "!a/b/", "**/c", "a/**",
    "!a/**/x.c", "x.*", "!x.t", "/*", "!/*/", "c/", "!c/", "b/**/y.t", "#a", "  ", "y.t  ", "\ufeffx.c", "[ab]", "[!a]",
)  # fmt: skip
ignore_files = st.dictionaries(
    st.sampled_from(FOLDERS), st.lists(st.sampled_from(LINES), min_size=1, max_size=4), min_size=1, max_size=3
)
files = st.sets(
    st.builds(str.__add__, st.sampled_from((*FOLDERS, "c/a/", "a/c/")), st.sampled_from(("x.c", "y.t", "x.t", "c"))),
    min_size=4, max_size=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of no work tree yet."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(("git", "init", "-q", "--bare", str(folder)), check=True)
    return folder


@needs_git
@settings(deadline=None, max_examples=100)
@given(ignored=ignore_files, tree=files)
def test_the_files_of_any_tree_are_those_that_git_would_take(
    repository: Path, ignored: dict[str, list[str]], tree: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        # A name cannot be a file and a folder.
        kept = [name for name in tree if not any(other.startswith(f"{name}/") for other in tree)]
        write(root, dict.fromkeys(kept, ""))
        for base, lines in ignored.items():
            if not (root / base).is_dir():
                continue
            write(root, {f"{base}.gitignore": "\n".join(lines)})
        assert names(root) == git_names(root, repository)


def test_an_allow_list_takes_back_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*\n!*/\n!*.c\n", "a.c": "", "a.h": "", "d/e/b.c": "", "d/e/b.h": ""})
    assert names(tmp_path) == {"a.c", "d/e/b.c"}


def test_a_byte_order_mark_does_not_cost_the_first_line(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "\ufeffsecret.txt\nb.txt\n", "secret.txt": "", "b.txt": "", "a.txt": ""})
    assert names(tmp_path) == {"a.txt"}


def test_a_folder_whose_ignore_file_cannot_be_heeded_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_trees, "MAX_BYTES", 2048)
    monkeypatch.setattr(ignoring, "MAX_BYTES_IN_FORCE", 3072)
    long = "a.txt\n" * 300
    write(
        tmp_path,
        {
            "a.txt": "", "big/.gitignore": long * 2, "big/b.txt": "",
            "deep/.gitignore": long, "deep/b.txt": "", "deep/er/.gitignore": long, "deep/er/c.txt": "",
        },
    )  # fmt: skip
    found = harvest([str(tmp_path)], (), Forbidden(own=(), environ={}))
    assert {one.source.removeprefix(f"{tmp_path}/") for one in found.files} == {"a.txt", "deep/b.txt"}
    assert {one.source.removeprefix(f"{tmp_path}/"): one.reason for one in found.failed} == {
        "big": ".gitignore has more than 2 kB",
        "deep/er": "its ignore files have more than 3 kB together",
    }


def test_an_ignore_file_that_is_a_link_is_none_as_for_git(tmp_path: Path) -> None:
    write(tmp_path, {"d/a.txt": "", "patterns": "*.txt\n"})
    (tmp_path / "d" / ".gitignore").symlink_to("../patterns")
    assert names(tmp_path, at="d") == {"d/a.txt"}


def test_rules_of_the_work_tree_around_hold_in_a_folder_of_it(tmp_path: Path) -> None:
    write(tmp_path, TREE | {".git/info/exclude": "secret*\n", "sub/secret.txt": "", "sub/b.txt": ""})
    assert names(tmp_path, at="sub") == {"sub/b.log", "sub/build/out.txt", "sub/b.txt"}


def test_without_a_work_tree_only_the_folders_own_files_count(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*.txt\n", "inner/.gitignore": "*.log\n", "inner/a.txt": "", "inner/a.log": ""})
    assert names(tmp_path, at="inner") == {"inner/a.txt"}


def test_a_folder_that_is_ignored_is_taken_when_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, {".git/HEAD": "", ".gitignore": "build/\n*.txt\n", "build/a.txt": ""})
    assert names(tmp_path) == set()
    assert names(tmp_path, at="build") == {"build/a.txt"}


def test_a_folder_in_one_that_is_ignored_is_taken_when_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, {".git/HEAD": "", ".gitignore": "build/\n*.txt\n", "build/in/a.txt": ""})
    assert names(tmp_path, at="build/in") == {"build/in/a.txt"}


def test_a_linked_work_tree_has_the_excludes_of_its_repository(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "repo/.git/info/exclude": "private.txt\n", "repo/.git/worktrees/w/commondir": "../..\n",
            "w/.git": f"gitdir: {tmp_path}/repo/.git/worktrees/w\n", "w/private.txt": "", "w/a.txt": "",
        },
    )  # fmt: skip
    assert names(tmp_path, at="w") == {"w/a.txt"}


def test_excludes_are_lines_of_a_gitignore_and_win(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "", "b.md": "", "sub/b.md": "", "sub/c.txt": "", ".gitignore": "!b.md\n"})
    assert names(tmp_path, "*.md") == {"a.txt", "sub/c.txt"}
    assert names(tmp_path, "/sub/") == {"a.txt", "b.md"}
    assert names(tmp_path, "*.md", "!/b.md") == {"a.txt", "b.md", "sub/c.txt"}


def test_a_line_that_is_no_pattern_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "!\n*.log\n\\\n", "a.log": "", "a.txt": ""})
    assert names(tmp_path) == {"a.txt"}


def test_an_ignore_file_that_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").mkdir()
    write(tmp_path, {"a.txt": ""})
    assert names(tmp_path) == {"a.txt"}
    assert not ignoring_of(str(tmp_path), (), {}).leaves_out(str(tmp_path / "a.txt"), is_directory=False)


def test_an_ignore_file_that_git_cannot_read_keeps_its_folder_out(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "", "wide/secret.txt": "", "wide/a.txt": ""})
    (tmp_path / "wide" / ".gitignore").write_bytes("secret.txt\r\n".encode("utf-16"))
    found = harvest([str(tmp_path)], (), Forbidden(own=(), environ={}))
    assert [Path(one.source).name for one in found.files] == ["a.txt"]
    assert [(one.reason, one.cannot) for one in found.failed] == [
        ("its ignore file is in UTF-16, which git does not read; save it as UTF-8", True)
    ]


def test_a_tree_inside_of_the_folder_has_its_own_excludes(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/.git/HEAD": "", "a/.git/info/exclude": "private.txt\n", "a/private.txt": "", "a/b/private.txt": "",
            "a/b/c.txt": "", "a/.gitignore": "!/private.txt\n", "private.txt": "",
            "m/.git": "gitdir: ../modules/m\n", "modules/m/HEAD": "", "modules/m/info/exclude": "c.*\n",
            "m/c.txt": "", "m/d.txt": "",
        },
    )  # fmt: skip
    assert names(tmp_path) == {"a/private.txt", "a/b/c.txt", "private.txt", "m/d.txt", "modules/m/HEAD",
                               "modules/m/info/exclude"}  # fmt: skip


def test_excludes_that_are_a_link_hold_as_for_git(tmp_path: Path) -> None:
    write(tmp_path, {".git/HEAD": "", ".git/info/x": "", "secret.txt": "", "a.txt": "", "patterns": "secret.txt\n"})
    (tmp_path / ".git" / "info" / "exclude").symlink_to(tmp_path / "patterns")
    assert names(tmp_path) == {"a.txt", "patterns"}


def test_what_is_no_repository_ends_no_work_tree(tmp_path: Path) -> None:
    write(tmp_path, {".git/HEAD": "", ".gitignore": "secret.txt\n", "sub/secret.txt": "", "sub/a.txt": ""})
    (tmp_path / "sub" / ".git").mkdir()
    assert names(tmp_path, at="sub") == {"sub/a.txt"}


SETTINGS = {
    "by name": ('[user]\n\tname = x\n[core] # own\n\tExcludesFile = "~/my ignore" ; here\n', "my ignore"),
    "of another section": ('[core "x"]\n\texcludesFile = ~/none\n', ".config/git/ignore"),
    "by default": ("", ".config/git/ignore"),
    "in another file": ("[include]\n\tpath = more\n", "included"),
    "the last one": ("[core]\n\texcludesfile = ~/none\n\texcludesfile = ~/my\\\n ignore\n", "my ignore"),
}


@needs_git
@pytest.mark.parametrize("kind", SETTINGS)
def test_the_owners_own_patterns_hold_in_work_trees(tmp_path: Path, kind: str) -> None:
    settings, place = SETTINGS[kind]
    home, root = tmp_path / "home", tmp_path / "root"
    write(home, {".gitconfig": settings, place: "*.secret\n", "more": "[core]\n\texcludesfile = ~/included\n"})
    write(root, {"tree/a.secret": "", "tree/a.txt": "", "b.secret": "", "tree/sub/.gitignore": "!kept.secret\n",
                 "tree/sub/kept.secret": "", "tree/sub/c.secret": ""})  # fmt: skip
    subprocess.run(("git", "init", "-q", str(root / "tree")), check=True)
    listed = subprocess.run(
        ("git", "-C", str(root / "tree"), "ls-files", "-o", "--exclude-standard"),
        env={"HOME": str(home), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"},
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    expected = {f"tree/{name}" for name in listed.split() if not Path(name).name.startswith(".")}
    assert expected == {"tree/a.txt", "tree/sub/kept.secret"}
    # Outside of a work tree git has no say.
    assert names(root, home=home) == {"b.secret", *expected}
    assert names(root, at="tree", home=home) == expected
    assert names(root, at="tree/sub", home=home) == {"tree/sub/kept.secret"}


def test_case_does_not_count_in_a_tree_that_says_so(tmp_path: Path) -> None:
    write(tmp_path, {"t/.git/HEAD": "", "t/.git/config": "[core]\n\tignorecase\n", "t/.gitignore": "Secret.*\n"})
    write(tmp_path, {".gitignore": "Other.txt\n", "t/SECRET.txt": "", "t/other.txt": "", "t/a.txt": ""})
    assert names(tmp_path) == {"t/other.txt", "t/a.txt"}


def test_settings_that_include_each_other_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = 0
    content_of = work_trees.content_of

    def counting(path: str, directory: int | None = None, *, links: bool = False) -> bytes:
        nonlocal files
        files += 1
        return content_of(path, directory, links=links)

    monkeypatch.setattr(work_trees, "content_of", counting)
    many = "".join(f"path = {name}\n" for name in ["config", "more", *map(str, range(200))])
    tree = {".git/HEAD": "", ".git/config": f"[include]\n{many}", ".git/more": f"[include]\n{many}", "a.txt": ""}
    write(tmp_path, tree | {f".git/{n}": f"[include]\n{many}" for n in range(200)})
    assert names(tmp_path) == {"a.txt"}
    assert files < 50
