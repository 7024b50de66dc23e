"""`agentgw search`, `documents` and `delete-documents` against a fake daemon."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.commandline import Cli, Run, Terminal
from tests.client.fakedaemon import Failure, Serve

CHUNK = {
    "document_id": "d-1", "source": "/notes/rent.md", "text": "The rent is due.\nOn Monday \x1b[31m.", "score": 0.987,
    "title_path": "Flat > Money", "lines": [3, 4], "snippet": "The «rent» is due.\nOn Monday \x1b[31m.",
    "also_in": ["/copy/rent.md"],
}  # fmt: skip
DOCUMENT = {
    "document_id": "d-1", "source": "/notes/rent.md", "collection": "default", "title": "Flat", "format": "markdown",
    "size_bytes": 1234, "chunks": 7, "sha256": "0" * 64, "skills": ["code-assistant"], "tags": ["a", "b"],
    "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-02T00:00:00.000Z",
}  # fmt: skip
GONE = {"documents": 2, "chunks": 5}


def test_a_search_sends_the_words_as_one_query_with_all_filters(cli: Cli, serve: Serve) -> None:
    daemon = serve({"document.search": {"chunks": [CHUNK]}})
    status, out, err = cli(
        "search", "when", "is", "rent", "due?", "-k", "3", "-c", "home", "--skills", "a", "--skills", "b", "--tags", "t"
    )
    assert (status, err) == (0, "")
    assert daemon.params("document.search") == {
        "query": "when is rent due?", "k": 3, "collection": "home", "skills": ["a", "b"], "tags": ["t"],
        "cwd": os.getcwd(),
    }  # fmt: skip
    header, line = out.splitlines()
    assert header.split() == ["SCORE", "PLACE", "TITLE", "TEXT"]
    assert line.startswith("0.99   /notes/rent.md:3-4  Flat > Money  The «rent» is due. On Monday")


def test_one_line_is_one_number(cli: Cli, serve: Serve) -> None:
    serve({"document.search": {"chunks": [{**CHUNK, "lines": [3, 3]}]}})
    assert "/notes/rent.md:3  " in cli("search", "x")[1]


def test_json_is_what_the_daemon_gave(cli: Cli, serve: Serve) -> None:
    serve({"document.search": {"chunks": [CHUNK], "notice": "only words"}, "document.list": {"documents": [DOCUMENT]}})
    status, out, err = cli("search", "x", "--json")
    assert (status, err) == (0, "agentgw: only words\n")
    assert json.loads(out) == {"chunks": [CHUNK], "notice": "only words"}
    assert json.loads(cli("documents", "--json")[1]) == {"documents": [DOCUMENT]}


def test_finding_nothing_is_said_and_is_no_error(cli: Cli, serve: Serve) -> None:
    serve({"document.search": {"chunks": []}})
    status, _, err = cli("search", "x")
    assert (status, err) == (0, "agentgw: nothing was found\n")


def test_on_a_terminal_the_text_has_a_line_of_its_own_and_its_escapes_are_shown(
    terminal: Callable[..., Terminal], serve: Serve
) -> None:
    serve({"document.search": {"chunks": [CHUNK]}})
    screen = terminal("search", "rent")
    screen.wait_for("also in /copy/rent.md")
    screen.wait_for("The «rent» is due. On Monday \\x1b[31m.")
    assert screen.end() == 0


def test_documents_are_a_table_and_more_are_announced(cli: Cli, serve: Serve) -> None:
    daemon = serve({"document.list": {"documents": [DOCUMENT], "next": "abc"}})
    status, out, err = cli("documents", "--source", "rent", "-n", "1", "--skills", "s", "--tags", "t", "-c", "default")
    assert status == 0
    assert daemon.params("document.list") == {
        "limit": 1, "collection": "default", "source": "rent", "skills": ["s"], "tags": ["t"],
        "cwd": os.getcwd(),
    }  # fmt: skip
    assert "/notes/rent.md  7       1 kB" in out
    assert "code-assistant  a, b" in out
    assert err == "agentgw: there are more: -n 2 shows them\n"


def test_deleting_without_saying_what_is_a_usage_error(cli: Cli, serve: Serve) -> None:
    serve({"document.delete": GONE})
    status, _, err = cli("delete-documents", "--yes")
    assert (status, err) == (2, "agentgw: nothing says which documents. give --source, --id or --collection\n")


def test_with_yes_nobody_is_asked(cli: Cli, serve: Serve) -> None:
    daemon = serve({"document.delete": GONE})
    status, out, err = cli("delete-documents", "--source", "notes", "--id", "d-1", "-c", "work", "--yes")
    assert (status, out, err) == (0, "", "agentgw: deleted 2 documents with 5 chunks\n")
    assert daemon.params("document.delete") == {
        "sources": ["notes", os.path.abspath("notes")], "ids": ["d-1"], "collection": "work",
    }  # fmt: skip


def test_in_a_pipe_it_says_what_it_would_do_and_does_nothing(agentgw: Run, serve: Serve) -> None:
    daemon = serve({"document.delete": GONE})
    done = agentgw("delete-documents", "--source", "/x", stdin="y\n")
    assert done.returncode == 2
    assert done.stderr == "agentgw: this would delete 2 documents with 5 chunks. --yes does it without asking\n"
    assert daemon.params("document.delete")["dry_run"] is True


def test_a_person_is_asked_and_the_default_is_no(terminal: Callable[..., Terminal], serve: Serve) -> None:
    for answer, status in (("\n", 1), ("y\n", 0)):
        serve({"document.delete": GONE})
        screen = terminal("delete-documents", "-c", "work")
        screen.wait_for("Delete 2 documents with 5 chunks? [y/N]")
        screen.type(answer)
        assert screen.end() == status


def test_what_is_not_there_cannot_be_deleted(cli: Cli, serve: Serve) -> None:
    nothing: dict[str, Any] = {"documents": 0, "chunks": 0}
    serve({"document.delete": nothing})
    assert cli("delete-documents", "--source", "/x")[::2] == (
        1, "agentgw: no such document. `agentgw documents` lists them\n",
    )  # fmt: skip


@pytest.mark.parametrize("verb", [("search", "rent"), ("documents",), ("ingest", "/x")])
def test_labels_may_have_commas_between_them(cli: Cli, serve: Serve, verb: tuple[str, ...]) -> None:
    method = {"search": "document.search", "documents": "document.list", "ingest": "document.ingest"}[verb[0]]
    daemon = serve({method: Failure(-32001, "stop")})
    cli(*verb, "--tags", "home, x", "--tags", "y", "--skills", "cook,bake")
    params = daemon.params(method)
    assert params["tags"] == ["home", "x", "y"]
    assert params["skills"] == ["cook", "bake"]
    # A project's skills count where the user is.
    assert params["cwd"] == os.getcwd()


@pytest.mark.parametrize("words", [("--source", ""), ("--source", "a", "--source", "")])
def test_an_empty_source_deletes_nothing(cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
    daemon = serve({"document.delete": GONE})
    assert cli("delete-documents", "-y", *words)[:2] == (2, "")
    assert "document.delete" not in daemon.methods()


@pytest.mark.parametrize("verb", [("search", "rent"), ("documents",)])
@pytest.mark.parametrize("option", ["--skills", "--tags"])
@pytest.mark.parametrize("given", ["", ",", "a,,b", "a, "])
def test_an_empty_name_is_no_filter(cli: Cli, serve: Serve, verb: tuple[str, ...], option: str, given: str) -> None:
    daemon = serve({})
    said = f"agentgw: {option} has an empty word. write names with commas between\n"
    assert cli(*verb, option, given) == (2, "", said)
    assert daemon.methods().count("document.search") == daemon.methods().count("document.list") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing is stored yet: agentgw ingest ~/notes"), (("--source", "x"), "there is no such document"),
        (("-c", "x"), "there is no such document"), (("--tags", "x"), "there is no such document"),
    ],
)  # fmt: skip
def test_a_list_without_documents_says_so(cli: Cli, serve: Serve, words: tuple[str, ...], said: str) -> None:
    serve({"document.list": {"documents": []}})
    status, out, err = cli("documents", *words)
    assert (status, out.count("\n"), err) == (0, 1, f"agentgw: {said}\n")
