"""`agentgw ingest` with the real binary, the real parsers and the real embedder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.home import Home, until

pytestmark = pytest.mark.e2e

FILES = {
    "cooking/bread.md": "# Bread\n\n## Sourdough\n\nFeed the starter the evening before and let it rise overnight.\n",
    "cooking/soup.txt": "Leek soup wants butter, leeks, potatoes and patience.\n",
    "code/sums.py": '"""Sums."""\n\n\ndef add(a, b):\n    """The sum of two numbers."""\n    return a + b\n',
    "page.html": "<html><head><title>Bees</title></head><body><p>Bees dance to tell where flowers are.</p></body>",
    ".gitignore": "*.log\n",
    "noise.log": "noise\n",
    ".env": "PASSWORD=hunter2\n",
}


@pytest.fixture
def notes(home: Home) -> Path:
    home.add_embedder()
    for name, text in FILES.items():
        path = home.work / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return home.work / "notes"


def sources(home: Home) -> list[str]:
    found = home.call("document.list")["documents"]
    return sorted(str(Path(one["source"]).relative_to(home.root)) for one in found)


def test_a_folder_is_stored_and_again_only_what_changed(home: Home, notes: Path) -> None:
    assert home.ask("ingest", "notes").startswith("4 added, 0 unchanged, 3 skipped; ")
    assert sources(home) == [
        "work/notes/code/sums.py",
        "work/notes/cooking/bread.md",
        "work/notes/cooking/soup.txt",
        "work/notes/page.html",
    ]
    assert home.ask("ingest", str(notes), "-q") == "0 added, 4 unchanged, 3 skipped; 0 new chunks\n"
    (notes / "cooking" / "soup.txt").write_text("Onion soup wants onions.\n")
    (notes / "page.html").unlink()
    result = json.loads(home.ask("ingest", "notes", "--prune", "--json"))
    assert (result["updated"], result["unchanged"], result["removed_count"]) == (1, 2, 1)
    assert len(sources(home)) == 3


def test_a_strangers_folder_freezes_nothing_and_brings_nothing_in(home: Home, notes: Path) -> None:
    home.daemon()
    (home.user / ".aws").mkdir()
    (home.user / ".aws" / "credentials").write_text("aws_secret_access_key = hunter2\n")
    (notes / ".gitignore").write_text("*a*a*a*a*a*a*a*a*a*a*a*a*b\n")
    (notes / ("a" * 200 + ".txt")).write_text("A long name.\n")
    (notes / "todo.txt").symlink_to(home.user / ".aws" / "credentials")
    os.link(home.user / ".aws" / "credentials", notes / "done.txt")
    os.link(home.path / "data" / "agentgw.db", notes / "data.txt")
    first = home.run("ingest", "notes", "--watch", "--json", "--exclude", "*" + "a*" * 300 + "b")
    assert {Path(one["source"]).name for one in json.loads(first.out)["failed"]} == {"todo.txt", "done.txt", "data.txt"}
    for name in ("todo.txt", "done.txt", "data.txt"):
        assert f"/notes/{name}: is a " in first.err
    assert {Path(source).name for source in sources(home)} >= {"a" * 200 + ".txt", "bread.md"}
    assert not {Path(source).name for source in sources(home)} & {"todo.txt", "done.txt", "data.txt"}
    # The next daemon looks at it at once, and still ends when it is told to.
    home.ask("restart")
    until(lambda: home.call("document.watched")["folders"][0]["state"] == "following", "it is followed")
    home.ask("stop")


def test_what_was_stored_is_found_by_what_it_means(home: Home, notes: Path) -> None:
    home.ask("ingest", "notes")
    [best] = home.call("document.search", query="how do insects communicate", k=1)["chunks"]
    assert best["source"] == str(notes / "page.html")
    [best] = home.call("document.search", query="leavened dough", k=1)["chunks"]
    assert (best["source"], best["title_path"]) == (str(notes / "cooking" / "bread.md"), "Bread > Sourdough")


def test_bad_files_are_listed_and_the_rest_is_stored(home: Home, notes: Path) -> None:
    (notes / "junk.pdf").write_bytes(b"%PDF-1.4\n" + os.urandom(2000))
    (notes / "bomb.docx").write_bytes(b"PK\x03\x04" + bytes(2000))
    os.mkfifo(notes / "pipe")
    with (notes / "huge.txt").open("wb") as file:
        file.truncate(4 << 30)
    done = home.run("ingest", "notes")
    assert done.status == 0
    assert done.out.startswith("4 added, 0 unchanged, 4 failed, ")
    lines = done.err.splitlines()
    assert len(lines) == 4
    for name in ("junk.pdf", "bomb.docx", "pipe", "huge.txt"):
        assert any(line.startswith(f"agentgw: {notes / name}: ") for line in lines), done.err


def test_when_nothing_can_be_read_the_status_says_so(home: Home, notes: Path) -> None:
    done = home.run("ingest", "missing.txt")
    assert (done.status, done.out) == (1, "0 added, 0 unchanged, 1 failed; 0 new chunks\n")
    assert done.err == f"agentgw: {home.work / 'missing.txt'}: no such file or directory\n"


def test_what_is_piped_in_is_stored_under_its_name(home: Home, notes: Path) -> None:
    page = (notes / "page.html").read_text()
    assert home.ask("ingest", "--source", "bees.html", said=page).startswith("1 added")
    [document] = home.call("document.list")["documents"]
    assert (document["source"], document["format"], document["title"]) == ("bees.html", "html", "Bees")


def test_without_an_embedder_it_is_exit_4_with_the_line_that_gets_it(home: Home) -> None:
    (home.work / "a.txt").write_text("a")
    done = home.run("ingest", "a.txt")
    assert (done.status, done.out) == (4, "")
    assert "agentgw pull all-minilm-l6-v2" in done.err


def test_a_followed_folder_is_followed_across_restarts(home: Home, notes: Path) -> None:
    home.ask("ingest", "notes", "--watch")
    (notes / "new.txt").write_text("Something new about walnuts.\n")
    until(lambda: "work/notes/new.txt" in sources(home), "the new file is stored")
    home.kill_daemon()
    (notes / "new.txt").unlink()
    (notes / "cooking" / "cake.txt").write_text("A cake with walnuts.\n")
    until(
        lambda: "work/notes/cooking/cake.txt" in sources(home) and "work/notes/new.txt" not in sources(home),
        "the next daemon has seen what happened",
    )
    assert str(notes) in home.ask("ingest", "--watched")
    assert home.run("ingest", "--unwatch", "notes").err == "agentgw: notes is followed no more; its documents stay\n"
    assert json.loads(home.ask("ingest", "--watched", "--json")) == {"folders": []}
    assert len(sources(home)) == 5


def test_ours_and_secret_things_are_never_stored(home: Home, notes: Path) -> None:
    (home.user / ".ssh").mkdir()
    (home.user / ".ssh" / "id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (home.user / "note.txt").write_text("A note.\n")
    home.ask("ingest", str(home.root), "-q")
    assert {Path(source).name for source in sources(home)} == {
        "sums.py", "bread.md", "soup.txt", "page.html", "note.txt",
    }  # fmt: skip
    for path in (home.user / ".ssh" / "id_ed25519", home.path / "data", notes / ".env"):
        done = home.run("ingest", str(path))
        assert (done.status, "keys" in done.err or "passwords" in done.err) == (1, True), done
