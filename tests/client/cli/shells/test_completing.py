from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgw.cli.shells.completing import FILES, words_for
from tests.client.commandline import Cli
from tests.client.fakedaemon import Peer, Serve
from tests.patience import Stopwatch

SKILLS = {"skill.list": {"skills": [{"name": "writer", "description": "Writes."}, {"name": "editor"}]}}


def words(*line: str) -> list[str]:
    return [word for word, _ in words_for(line)]


def test_verbs_begin_a_line(home: Path) -> None:
    assert words("sta") == ["stats", "status", "start"]
    assert {"run", "map", "completion"} <= set(words(""))
    assert words("help", "ma") == ["map"]


def test_actions_and_options_follow_a_noun(home: Path) -> None:
    assert "show" in words("skills", "sh")
    assert words("no-such-verb", "") == []


def test_options_are_those_of_the_verb(home: Path) -> None:
    assert words("run", "--mo") == ["--model"]
    assert words("run", "--output-format", "s") == ["stream-json"]
    assert words("run", "--output-format=s") == ["--output-format=stream-json"]


def test_files_stand_where_files_are_wanted(home: Path) -> None:
    assert words_for(["run", "-f", ""]) == [FILES]
    assert words_for(["backup", "x"]) == [FILES]


def test_names_are_asked_of_the_daemon_that_runs(serve: Serve) -> None:
    serve(SKILLS)
    assert words_for(["run", "-s", ""]) == [("writer", "Writes."), ("editor", "")]
    assert words("skills", "show", "w") == ["writer"]


def test_without_a_daemon_there_are_none_and_none_is_started(home: Path) -> None:
    assert words("run", "-s", "") == []
    assert not (home / "run").exists()


def test_a_daemon_that_takes_its_time_is_not_waited_for(serve: Serve) -> None:
    def slow(peer: Peer, params: dict[str, Any]) -> dict[str, Any]:
        peer.gone.wait(20)
        return SKILLS["skill.list"]

    serve({"skill.list": slow})
    watch = Stopwatch()
    assert words("run", "-s", "") == []
    assert watch.seconds() < 10


def test_the_shell_gets_a_word_a_line_with_what_it_is(cli: Cli, serve: Serve) -> None:
    serve({"skill.list": {"skills": [{"name": "a", "description": "two\nlines"}]}})
    assert cli("completion", "--line", "--", "run", "-s", "") == (0, "a\ttwo lines\n", "")


@pytest.mark.parametrize("name", ["a\x1b[1m", "two\nlines", "a\ttab", "two  blanks", "a\u202eb"])
def test_a_name_that_is_another_one_when_it_is_shown_is_not_offered(cli: Cli, serve: Serve, name: str) -> None:
    serve({"skill.list": {"skills": [{"name": name}, {"name": "plain: it's $1"}]}})
    assert cli("completion", "--line", "--", "run", "-s", "") == (0, "plain: it's $1\n", "")


@pytest.mark.parametrize("verb", ["completion", "shell-init"])
@pytest.mark.parametrize("words", [("tcsh",), ("bash", "zsh")])
def test_other_shells_are_refused_with_those_there_are(cli: Cli, verb: str, words: tuple[str, ...]) -> None:
    status, out, err = cli(verb, *words)
    assert (status, out) == (2, "")
    assert "bash, zsh, fish" in err
