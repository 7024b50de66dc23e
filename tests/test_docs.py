"""The docs are true: generated pages are current, and what exists is named where a reader looks for it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentgw.cli.main import VERBS
from agentgw.protocol.errors import RPC_ERRORS
from agentgw.protocol.events import EVENTS
from agentgw.protocol.methods import METHODS
from agentgw_daemon.server.calls.openrpc import event_name
from tests.patience import PATIENCE_S
from tests.root import README, ROOT
from tests.scripts.http_page import page as http_page
from tests.scripts.manual_page import page as manual_page
from tests.scripts.manual_page import statuses, statuses_of_errors
from tests.scripts.protocol_page import page

PROTOCOL = ROOT / "docs" / "protocol.md"
HTTP = ROOT / "docs" / "http.md"
MANUAL = ROOT / "docs" / "agentgw.1"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
SECURITY = ROOT / "docs" / "security.md"
GLOSSARY = ROOT / "docs" / "glossary.md"
DAEMON = ROOT / "daemon" / "agentgw_daemon"


def top_level(package: Path) -> list[str]:
    """Modules and packages directly in `package`, `__init__` and `__main__` aside."""
    modules = {path.stem for path in package.glob("[!_]*.py")}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    return sorted(modules | packages)


def test_the_protocol_page_is_what_the_tables_say() -> None:
    assert PROTOCOL.read_text() == page(), "docs/protocol.md is out of date; run: make docs"


def test_the_page_of_http_is_what_its_tables_say() -> None:
    assert HTTP.read_text() == http_page(), "docs/http.md is out of date; run: make docs"


def test_the_manual_page_is_what_the_parsers_say() -> None:
    assert MANUAL.read_text() == manual_page(), "docs/agentgw.1 is out of date; run: make docs"


def test_the_manual_page_explains_every_exit_status_of_an_error() -> None:
    assert statuses_of_errors() <= statuses()


def test_the_manual_page_is_roff_without_a_warning() -> None:
    if (groff := shutil.which("groff")) is None:
        pytest.skip("there is no groff here")
    done = subprocess.run(
        (groff, "-man", "-Tutf8", "-ww", str(MANUAL)), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stderr) == (0, "")


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


def test_files_and_folders_that_the_architecture_page_names_exist() -> None:
    folders = [ROOT / name for name in ("agentgw", "daemon", "shell", "skills", "tests")]
    made = [path.relative_to(ROOT) for folder in folders for path in (folder, *folder.rglob("*"))]
    there = "".join(f"/{path}\n/{path.with_suffix('')}\n" for path in made)
    # Capital letters stand for a name of one's own; this one is in the user's cache.
    named = set(re.findall(r"`([a-z0-9_./]+/[a-z0-9_./]*)`", ARCHITECTURE.read_text())) - {"cache/kv"}
    assert len(named) > 50
    assert sorted(name for name in named if f"/{name.rstrip('/')}\n" not in there) == []


@pytest.mark.parametrize("page", sorted([README, *ROOT.glob("docs/*.md")]), ids=lambda page: page.name)
def test_files_that_a_page_links_to_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [SECURITY, GLOSSARY, HTTP], ids=lambda page: page.name)
def test_the_readme_links_to_the_page(page: Path) -> None:
    assert f"](docs/{page.name})" in README.read_text()


def answered_threats() -> dict[str, list[tuple[str, str]]]:
    """Each threat of the security page with the tests that prove its defence, as file and function."""
    answered = SECURITY.read_text().partition("\n## ")[2].partition("\n## Limits of these defences")[0]
    entries = re.findall(r"^- (.+?)(?=^- |^#|\Z)", answered, re.MULTILINE | re.DOTALL)
    return {entry.partition("\n")[0]: re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", entry) for entry in entries}


@pytest.mark.parametrize(("threat", "proofs"), answered_threats().items())
def test_each_threat_that_is_answered_names_tests_that_exist(threat: str, proofs: list[tuple[str, str]]) -> None:
    assert proofs, f"no test proves the answer to: {threat}"
    assert [f"{file}::{name}" for file, name in proofs if name not in runnable_tests(ROOT / file)] == []


def runnable_tests(file: Path) -> set[str]:
    """The tests of a file that can be run: functions of the module and of its classes of tests."""
    bodies = [ast.parse(file.read_text()).body] if file.exists() else []
    bodies += [node.body for body in bodies for node in body if isinstance(node, ast.ClassDef)]
    functions = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {function.name for function in functions if function.name.startswith("test_")}


def test_the_security_page_names_no_test_in_another_form() -> None:
    assert len(re.findall(r"tests/", SECURITY.read_text())) == sum(map(len, answered_threats().values()))


def test_the_glossary_has_one_line_for_each_term_in_alphabetical_order() -> None:
    lines = GLOSSARY.read_text().partition("\n- ")[2].splitlines()
    terms = [re.fullmatch(r"(?:- )?\*\*([^*]+)\*\*: \S.*\.", line) for line in lines]
    assert [line for line, term in zip(lines, terms, strict=True) if term is None] == []
    names = [term[1].casefold() for term in terms if term]
    assert names == sorted(set(names))
