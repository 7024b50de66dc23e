"""The lines of docs/http.md, docs/remote.md and docs/web.md, run as they stand: through a port, ssh and a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.e2e.home import Home, until
from tests.e2e.sshd import Sshd, missing
from tests.patience import PATIENCE_S
from tests.root import ROOT

pytestmark = pytest.mark.e2e

DOCS = ROOT / "docs"
PROGRAMS = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
# Behind each command its status, between two characters that no command prints.
MARK = "\x1e"


def consoles(page: str) -> list[str]:
    """The blocks of a page that show a terminal."""
    return re.findall(r"^```console\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def run(block: str, environ: Mapping[str, str], cwd: Path) -> Iterator[tuple[str, str, str, str]]:
    """Each command of a block with what the page shows of it, its status, and what it printed. One shell runs all."""
    commands = [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    typed: list[tuple[str, str]] = []
    for line, _, rest in commands:
        command, lines = line, rest.splitlines(keepends=True)
        while command.endswith("\\"):
            command += "\n" + lines.pop(0).rstrip("\n")
        typed.append((command, "".join(lines)))
    script = "".join(f"{command}\nprintf '{MARK}%s{MARK}' $?\n" for command, _ in typed)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], env=dict(environ), cwd=cwd, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=4 * PATIENCE_S,
    )  # fmt: skip
    said = done.stdout.split(MARK)
    assert len(said) == 2 * len(typed) + 1, done.stdout
    for at, (command, shown) in enumerate(typed):
        yield command, shown, said[2 * at + 1], said[2 * at]


@pytest.fixture(scope="module")
def site(shared_home: Home) -> Home:
    shared_home.configure('[model]\ndefault = "echo"\n')
    shared_home.add_embedder()
    shared_home.serve("--port", "0")
    return shared_home


def test_the_lines_of_curl_print_what_the_page_shows(site: Home) -> None:
    (block,) = consoles("http.md")
    port = site.call("daemon.status")["http"]["address"].rpartition(":")[2]
    here = block.replace(":8080", f":{port}").replace("~/.local/state/agentgw", str(site.path / "state"))
    for command, shown, status, printed in run(here, site.environ, site.work):
        pattern = ".*".join(map(re.escape, shown.split("…")))
        assert (status, bool(re.fullmatch(pattern, printed))) == ("0", True), (command, printed)


def test_the_lines_of_a_daemon_elsewhere_do_what_the_page_says(site: Home, tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)
    (block,) = consoles("remote.md")
    with Home() as here, Sshd(tmp_path / "etc", {"AGENTGW_HOME": str(site.path), "PATH": PROGRAMS}) as sshd:
        notes = here.user / "notes"
        notes.mkdir()
        (notes / "ida.md").write_text("# The Ida\n\nThe Ida lies at pier 12 in Greifswald.\n")
        subprocess.run(["git", "init", "-q", here.work], check=True)
        environ = {**here.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{sshd.path}"}
        for command, _, status, printed in run(block.replace("ssh://me@workstation", sshd.url), environ, here.work):
            assert status == "0", (command, printed)
        assert not (here.path / "data").exists()
    assert "ida.md" in site.ask("documents")


def test_the_lines_of_the_pages_serve_them_and_open_them_signed_in(home: Home) -> None:
    """The first line goes on, as it does in a terminal; the browser of the second notes what it is to open."""
    (block,) = consoles("web.md")
    serve, web = re.findall(r"^\$ (.*)$", block, re.MULTILINE)
    noted = home.user / "opened"
    browser = home.user / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {noted}\n')
    browser.chmod(0o700)
    environ = {**home.environ, "PATH": PROGRAMS, "BROWSER": f"{browser} %s"}
    # Any port: another one may be taken on this machine.
    line = serve.replace("--port 8080", "--port 0")
    assert line != serve
    with subprocess.Popen(["bash", "-c", f"exec {line}"], env=environ, cwd=home.work) as child:
        try:
            until(lambda: "serving on" in home.log or child.poll() is not None, "the daemon serves")
            done = subprocess.run(
                ["bash", "-c", web], env=environ, cwd=home.work, text=True, capture_output=True, timeout=PATIENCE_S
            )
            link = done.stdout.strip()
            assert (done.returncode, noted.read_text()) == (0, link), done
            with httpx.Client(timeout=PATIENCE_S) as visitor:
                assert visitor.get(link).status_code == 200
                page = visitor.get(httpx.URL(link).join("/"))
                assert (page.status_code, "Sessions" in page.text) == (200, True)
                # The link worked once.
                assert httpx.get(link).status_code == 401
        finally:
            child.terminate()
