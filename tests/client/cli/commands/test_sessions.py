"""Sessions on the screen, and how several are deleted."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.client.commandline import Cli
from tests.client.fakedaemon import Failure, FakeDaemon, Serve


def session(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "session_id": name, "title": f"title of {name}", "skill": "general-assistant", "turns": 2,
        "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z", **fields,
    }  # fmt: skip


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr("agentgw.cli.output.is_terminal", lambda stream: True)
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((columns, 24)))


@pytest.mark.parametrize("columns", [60, 80])
def test_a_title_has_room_beside_a_short_id_and_the_lines_fit(
    cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    serve({"session.list": {"sessions": [session("s-1m8h1n0wh2kfentf0y", title="报销流程和差旅费用标准以及审批人")]}})
    on_terminal(monkeypatch, columns)
    line = cli("sessions")[1].splitlines()[1]
    assert line.startswith("s-entf0y ")
    assert "报销流程和差旅" in line
    assert sum(2 if one > "\u2e80" else 1 for one in line) <= columns


def test_on_forty_columns_a_title_still_has_room(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({"session.list": {"sessions": [session("s-1m8h1n0wh2kfentf0y", title="what the landlord wrote in May")]}})
    on_terminal(monkeypatch, 40)
    head, line = cli("sessions")[1].splitlines()
    assert (head, line) == ("SESSION   LAST USED   TITLE", "s-entf0y  2026-01-01  what the landlord…")


@pytest.mark.parametrize(
    ("verb", "rows", "row"),
    [
        (("sessions",), "sessions", session("s-1")),
        (("turns", "--all"), "turns", {
            "turn_id": "t-1", "session_id": "s-1", "skill": "x", "model": "m", "state": "completed",
            "created_at": "2026-01-01T00:00:00.000Z",
        }),
        (("documents",), "documents", {
            "document_id": "d-1", "source": "/x", "chunks": 1, "size_bytes": 1, "format": "text", "collection": "c",
            "skills": [], "tags": [], "updated_at": "2026-01-01T00:00:00.000Z",
        }),
        (("jobs", "history"), "runs", {
            "job": "x", "scheduled_for": "2026-01-01T00:00:00.000Z", "status": "ok", "missed": 0, "attempt": 1,
            "lateness_s": 0,
        }),
    ],
)  # fmt: skip
def test_a_listing_has_as_many_rows_as_asked_for(
    cli: Cli, serve: Serve, verb: tuple[str, ...], rows: str, row: dict[str, Any]
) -> None:
    def page(_: object, params: dict[str, Any]) -> dict[str, Any]:
        at = int(params.get("before", 0))
        assert params["limit"] <= 1000
        until = min(at + params["limit"], 2500)
        return {rows: [row] * (until - at), **({"next": str(until)} if until < 2500 else {})}

    method = {"sessions": "session.list", "turns": "turn.list", "documents": "document.list", "runs": "job.history"}
    serve({method[rows]: page})
    status, out, err = cli(*verb, "-n", "10000")
    assert (status, len(out.splitlines()) - 1, err) == (0, 2500, "")
    _, out, err = cli(*verb, "-n", "1200")
    assert (len(out.splitlines()) - 1, err) == (1200, "agentgw: there are more: -n 2400 shows them\n")
    assert len(json.loads(cli(*verb, "-n", "2400", "--json")[1])[rows]) == 2400


def test_ids_are_whole_in_a_pipe(cli: Cli, serve: Serve) -> None:
    serve({"session.list": {"sessions": [session("s-1m8h1n0wh2kfentf0y")]}})
    assert "s-1m8h1n0wh2kfentf0y" in cli("sessions")[1]


def test_sessions_of_sub_agents_stand_under_that_of_whom_they_worked_for(cli: Cli, serve: Serve) -> None:
    listed = [
        session("s-5", parent_id="s-3", delegated_by="t-3"), session("s-4", parent_id="s-1", delegated_by="t-1"),
        session("s-3", parent_id="s-1", delegated_by="t-1"), session("s-2"), session("s-1"),
        session("s-0", parent_id="s-9", delegated_by="t-9"), session("s-f", parent_id="s-2"),
    ]  # fmt: skip
    serve({"session.list": {"sessions": listed}})
    lines = cli("sessions")[1].splitlines()[1:]
    assert [(line.split()[0], line.partition("assistant  ")[2]) for line in lines] == [
        ("s-2", "title of s-2"), ("s-1", "title of s-1"), ("s-3", "└ title of s-3"), ("s-5", "└─ title of s-5"),
        ("s-4", "└ title of s-4"), ("s-0", "for s-9: title of s-0"), ("s-f", "title of s-f"),
    ]  # fmt: skip


def test_a_circle_of_bad_records_ends(cli: Cli, serve: Serve) -> None:
    listed = [session("s-1", parent_id="s-2", delegated_by="t"), session("s-2", parent_id="s-1", delegated_by="t")]
    serve({"session.list": {"sessions": listed}})
    assert cli("sessions")[0] == 0


def test_a_search_without_a_hit_says_so(cli: Cli, serve: Serve) -> None:
    serve({"session.search": {"messages": []}})
    assert cli("sessions", "search", "x") == (0, "SESSION  WHEN  ROLE  TEXT\n", "agentgw: nothing was found\n")
    assert cli("sessions", "search", "x", "--json")[2] == ""


class TestDelete:
    """Deletion of what was named; a rule is only followed by who has agreed."""

    OLD, NEW = session("s-old"), session("s-new", updated_at="2999-01-01T00:00:00.000Z")

    @pytest.fixture
    def daemon(self, serve: Serve) -> FakeDaemon:
        pages = {None: {"sessions": [self.NEW], "next": "p"}, "p": {"sessions": [self.OLD]}}
        return serve(
            {
                "session.list": lambda peer, params: pages[params.get("before")],
                "session.get": lambda peer, params: session(f"s-{params['session_id']}"),
                "session.delete": {"ok": True},
            }
        )

    def gone(self, daemon: FakeDaemon) -> list[str]:
        return [params["session_id"] for method, params in daemon.received if method == "session.delete"]

    def test_several_by_their_ids(self, cli: Cli, daemon: FakeDaemon) -> None:
        assert cli("sessions", "delete", "a", "b") == (0, "", "agentgw: deleted 2 sessions\n")
        assert self.gone(daemon) == ["s-a", "s-b"]

    def test_by_age_on_every_page(self, cli: Cli, daemon: FakeDaemon) -> None:
        assert cli("sessions", "delete", "--older-than", "30d", "-y") == (0, "", "agentgw: deleted s-old\n")
        assert self.gone(daemon) == ["s-old"]

    def test_by_directory(self, cli: Cli, daemon: FakeDaemon) -> None:
        assert cli("sessions", "delete", "--dir", ".", "--yes")[0] == 0
        assert self.gone(daemon) == ["s-new", "s-old"]
        assert daemon.params("session.list")["cwd"] == os.getcwd()

    def test_a_rule_without_a_yes_deletes_nothing_in_a_script(self, cli: Cli, daemon: FakeDaemon) -> None:
        status, out, err = cli("sessions", "delete", "--dir", ".")
        assert (status, out) == (2, "")
        assert err == "agentgw: this would delete 2 sessions. --yes does it without asking\n"
        assert self.gone(daemon) == []

    @pytest.mark.parametrize(("answer", "status", "gone"), [("y\n", 0, ["s-a"]), ("\n", 1, []), ("", 1, [])])
    def test_a_person_is_asked(
        self, cli: Cli, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, gone: list[str]
    ) -> None:
        monkeypatch.setattr("agentgw.cli.commands.sessions.is_interactive", lambda: True)
        monkeypatch.setattr("sys.stdin.readline", lambda: answer)
        found, _, err = cli("sessions", "delete", "a")
        assert found == status
        assert err.startswith("Delete the session “title of s-a” with 2 turns? [y/N] ")
        assert self.gone(daemon) == gone

    @pytest.mark.parametrize(
        "words",
        [(), ("a", "--dir", "."), ("--older-than", "soon"), ("--older-than", "-1d"), ("--older-than", "d"),
         ("--older-than", "999999d"), ("--older-than", "٣d"), ("--older-than", ""), ("--dir", ""),
         ("--older-than", "30d", "--dir", "")],
    )  # fmt: skip
    def test_what_names_nothing_or_twice_deletes_nothing(
        self, cli: Cli, daemon: FakeDaemon, words: tuple[str, ...]
    ) -> None:
        assert cli("sessions", "delete", *words, "-y")[:2] == (2, "")
        assert self.gone(daemon) == []

    def test_a_wrong_id_among_several_deletes_none(self, cli: Cli, serve: Serve) -> None:
        def get(peer: Any, params: dict[str, Any]) -> dict[str, Any]:
            if params["session_id"] == "b":
                raise Failure(-32001, "no session b")
            return session("s-a")

        daemon = serve({"session.get": get, "session.delete": {"ok": True}})
        assert cli("sessions", "delete", "a", "b") == (1, "", "agentgw: no session b\n")
        assert self.gone(daemon) == []

    def test_what_went_with_another_is_no_error(self, cli: Cli, daemon: FakeDaemon) -> None:
        daemon.answers["session.delete"] = Failure(-32001, "no session")
        assert cli("sessions", "delete", "a", "b")[0] == 0


class TestCompact:
    """A summary in the place of the oldest turns, and back."""

    MADE = {"session_id": "s-1", "turns": 5, "summary": "# Notes", "tokens_before": 156, "tokens_after": 37}  # noqa: RUF012  # never changed

    def test_the_summary_is_printed_and_how_it_is_taken_back(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"session.compact": self.MADE})
        assert cli("sessions", "compact", "s-1", "--keep", "2", "-m", "m") == (
            0, "# Notes\n",
            "agentgw: the 5 oldest turns are shown to the model like this: 37 tokens for 156."
            " agentgw sessions expand s-1 takes it back\n",
        )  # fmt: skip
        assert daemon.params("session.compact") == {"session_id": "s-1", "keep": 2, "model": "m"}

    def test_one_that_saves_nothing_is_not_kept(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"session.compact": {**self.MADE, "turns": 0, "summary": None, "tokens_after": 156}})
        said = "agentgw: its summary was not shorter than the turns, which stay as they are\n"
        assert cli("sessions", "compact", "s") == (0, "", said)
        assert daemon.params("session.compact") == {"session_id": "s", "keep": 1}

    @pytest.mark.parametrize(
        ("left", "words"),
        [
            (0, "all turns are shown whole again"), (1, "the oldest turn is shown as the summary before again"),
            (3, "the 3 oldest turns are shown as the summary before again"),
        ],
    )  # fmt: skip
    def test_it_is_taken_back(self, cli: Cli, serve: Serve, left: int, words: str) -> None:
        daemon = serve({"session.expand": {"session_id": "s-1", "turns": left}})
        assert cli("sessions", "expand", "s-1") == (0, "", f"agentgw: {words}\n")
        assert daemon.params("session.expand") == {"session_id": "s-1"}

    def test_programs_get_the_result(self, cli: Cli, serve: Serve) -> None:
        serve({"session.compact": self.MADE, "session.expand": {"session_id": "s-1", "turns": 0}})
        assert json.loads(cli("sessions", "compact", "s-1", "--json")[1]) == self.MADE
        assert json.loads(cli("sessions", "expand", "s-1", "--json")[1]) == {"session_id": "s-1", "turns": 0}


def test_a_session_that_is_named_twice_is_deleted_and_counted_once(cli: Cli, serve: Serve) -> None:
    daemon = serve({"session.get": lambda _, params: session(f"s-{params['session_id'][-1]}"), "session.delete": {}})
    assert cli("sessions", "delete", "s-1", "1", "s-2", "-y")[2] == "agentgw: deleted 2 sessions\n"
    assert daemon.methods().count("session.delete") == 2


def test_the_line_above_a_message_fits_a_narrow_terminal(
    cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = {
        "role": "assistant", "content": "Because.", "turn_id": "t-1m8m43ayq1y37bhgar", "interrupted": True,
        "created_at": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
    serve({"session.messages": {"messages": [message]}})
    on_terminal(monkeypatch, 40)
    assert cli("sessions", "show", "s-1")[1].splitlines() == [
        "assistant (cut off), 2026-01-01 00:00,", "t-1m8m43ayq1y37bhgar:", "Because.", "",
    ]  # fmt: skip
