"""The docs are true: generated pages are current, and what exists is named where a reader looks for it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli import VERBS
from agentgw.errors import RPC_ERRORS
from agentgw.events import EVENTS
from agentgw.methods import METHODS
from agentgw_daemon.discover import event_name
from agentgw_daemon.protocol_page import page

ROOT = Path(__file__).parent.parent
PROTOCOL = ROOT / "docs" / "protocol.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
README = ROOT / "README.md"
DAEMON = ROOT / "daemon" / "agentgw_daemon"


def top_level(package: Path) -> list[str]:
    """Modules and packages directly in `package`, `__init__` and `__main__` aside."""
    modules = {path.stem for path in package.glob("[!_]*.py")}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    return sorted(modules | packages)


def test_the_protocol_page_is_what_the_tables_say() -> None:
    assert PROTOCOL.read_text() == page(), "docs/protocol.md is out of date; run: make docs"


@pytest.mark.parametrize("name", METHODS)
def test_the_protocol_page_has_every_method(name: str) -> None:
    assert f"#### `{name}`" in PROTOCOL.read_text()


@pytest.mark.parametrize("event", EVENTS, ids=event_name)
def test_the_protocol_page_has_every_notification(event: type) -> None:
    assert f"### `{event_name(event)}`" in PROTOCOL.read_text()


@pytest.mark.parametrize("error", RPC_ERRORS, ids=lambda error: error.__name__)
def test_the_protocol_page_has_every_error_with_its_code_and_exit_status(error: type) -> None:
    assert f"{error.__name__} | {error.code} | {error.exit_status} |" in PROTOCOL.read_text()


@pytest.mark.e2e
def test_the_transcript_of_the_protocol_page_is_what_a_daemon_says(tmp_path: Path) -> None:
    request, *expected = re.search(r"```console\n\$ nc .*\n((?:.+\n)+)```", PROTOCOL.read_text())[1].splitlines()
    environment = {"AGENTGW_HOME": str(tmp_path), "PATH": os.defpath, "HOME": str(tmp_path)}
    agentgw = (sys.executable, "-m", "agentgw")
    subprocess.run((*agentgw, "start"), env=environment, cwd=ROOT, check=True, capture_output=True)
    try:
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(str(tmp_path / "run" / "agentgw.sock"))
            daemon.settimeout(60)
            daemon.sendall(request.encode() + b"\n")
            # Our side is done; the daemon answers what was asked and closes.
            daemon.shutdown(socket.SHUT_WR)
            said = list(daemon.makefile(encoding="utf-8"))
    finally:
        subprocess.run((*agentgw, "stop"), env=environment, cwd=ROOT, check=True, capture_output=True)
    assert [_without_chance(json.loads(line)) for line in said] == [
        _without_chance(json.loads(line.replace("{…}", "{}"))) for line in expected
    ]


def _without_chance(message: dict[str, Any]) -> dict[str, Any]:
    """A message without its ids and times, and without the lists that the page leaves out."""
    for part in ("params", "result"):
        for name in ("turn_id", "session_id", "usage", "timings", "tool_calls", "sources"):
            message.get(part, {}).pop(name, None)
    return message


def test_every_link_inside_the_protocol_page_leads_somewhere() -> None:
    text = PROTOCOL.read_text()
    titles = re.findall(r"^#+ `?([^`\n]+)`?$", text, re.MULTILINE)
    anchors = {title.lower().replace(".", "").replace(" ", "-") for title in titles}
    anchors |= set(re.findall(r'<a id="([^"]+)">', text))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_the_help_lists_every_verb() -> None:
    done = subprocess.run([sys.executable, "-m", "agentgw", "--help"], capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  ([a-z-]+) ", done.stdout, re.MULTILINE)) - {"agentgw"} == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_readme_mentions_every_verb(verb: str) -> None:
    assert re.search(rf"(agentgw |`){verb}\b", README.read_text())


@pytest.mark.parametrize("target", ["make demo", "make test"])
def test_the_readme_gives_the_two_commands(target: str) -> None:
    assert target in README.read_text()


@pytest.mark.parametrize("name", top_level(DAEMON))
def test_the_architecture_page_names_every_top_level_module_of_the_daemon(name: str) -> None:
    assert re.search(rf"\b{name}\b", ARCHITECTURE.read_text())


@pytest.mark.parametrize("page", sorted([README, *ROOT.glob("docs/*.md")]), ids=lambda page: page.name)
def test_files_that_a_page_links_to_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
