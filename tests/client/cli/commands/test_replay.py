"""`agentgw replay` and `agentgw eval`, against a daemon that says what the test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agentgw.cli.commands import eval as evaluating
from agentgw.cli.terminal.progress import Status
from agentgw.client import Stream
from tests.client.commandline import Cli, Terminal
from tests.client.fakedaemon import Failure, Serve

TIMES = {"prefill_ms": 12.0, "decode_ms": 1500.0}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4}
SIDE = {"model": "m", "text": "red green", "finish_reason": "stop", "usage": USAGE, "timings": TIMES}
SAME = {
    "turn_id": "t-1", "session_id": "s-1", "skill": "cook", "identical": True, "similarity": 1.0, "compared": "seed",
    "prompt": "same", "reasons": [], "calls": [], "recorded": SIDE, "replayed": SIDE,
}  # fmt: skip
OTHER = {
    **SAME, "identical": False, "similarity": 0.999, "prompt": "different",
    "reasons": ["another model: n in place of m"],
    "calls": [
        {"tool": "look", "arguments": "{}", "change": "same", "recorded": True},
        {"tool": "change", "arguments": '{"a": 1}', "change": "new", "recorded": False},
        {"tool": "post", "arguments": "{}", "change": "missing", "recorded": True},
    ],
    "replayed": {**SIDE, "model": "n", "text": "red blue", "usage": {"prompt_tokens": 9, "completion_tokens": 5}},
}  # fmt: skip


COUNTS = {
    "sessions": 2, "turns": 3, "messages": 6, "completion_tokens": 40, "turns_by_state": {"completed": 3},
    "turns_by_model": {"a": 1, "b": 2}, "db_bytes": 40_960,
    "feedback": [{"skill": "cook", "model": "b", "good": 2, "bad": 1}],
}  # fmt: skip


def given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def rating(number: int, value: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "turn_id": f"t-{number}", "session_id": "s-1", "rating": value, "created_at": f"2026-01-0{number}T00:00:00Z",
        "skill": "cook", "model": "m", "message": "hi", **more,
    }  # fmt: skip


class TestReplay:
    def test_identical_runs_exit_zero_and_show_no_difference(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"turn.replay": SAME})
        status, out, err = cli("replay", "t-1")
        assert (status, err) == (0, "")
        assert out.startswith("identical\n")
        assert "{+" not in out
        assert daemon.received[-1] == ("turn.replay", {"turn_id": "t-1", "skill_text": "recorded"})

    def test_different_runs_exit_one_and_show_words_calls_and_why(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"turn.replay": OTHER})
        status, out, err = cli("replay", "t-1", "-m", "n", "--skill-text", "current")
        assert (status, err) == (1, "")
        assert "different, answers 99% alike\nred [-green-]{+blue+}\n" in out
        assert "another model: n in place of m\n" in out
        assert "look {}: the same\n" in out
        assert 'change {"a": 1}: new, no result on record: not carried out\n' in out
        assert "post {}: not made again\n" in out
        assert "answer tokens  4 → 5\n" in out
        assert daemon.received[-1] == ("turn.replay", {"turn_id": "t-1", "model": "n", "skill_text": "current"})

    def test_json_is_the_daemons_own(self, cli: Cli, serve: Serve) -> None:
        serve({"turn.replay": OTHER})
        status, out, _ = cli("replay", "t-1", "--json")
        assert (status, json.loads(out)) == (1, OTHER)

    def test_a_terminal_gets_colours_unless_they_are_unwanted(
        self, terminal: Callable[..., Terminal], serve: Serve
    ) -> None:
        hostile = {**OTHER, "replayed": {**SIDE, "text": "red \x1b]0;x\x07"}}
        serve({"turn.replay": hostile})
        shown = terminal("replay", "t-1")
        assert shown.end() == 1
        assert "red \x1b[31m[-green-]\x1b[0m\x1b[32m{+\\x1b]0;x\\x07+}\x1b[0m" in shown.text
        plain = terminal("replay", "t-1", environment={"NO_COLOR": "1"})
        plain.end()
        assert "\x1b" not in plain.text

    def test_the_help_says_what_the_exit_status_means(self, cli: Cli) -> None:
        assert "0 identical, 1 different" in cli("replay", "--help")[1]


class TestEval:
    def test_every_rated_turn_is_replayed_once_in_the_background_with_the_skill_of_now(
        self, cli: Cli, serve: Serve
    ) -> None:
        pages = {None: {"ratings": [rating(2)], "next": "p"}, "p": {"ratings": [rating(1, model="a")]}}
        daemon = serve(
            {
                "feedback.list": lambda peer, params: pages[params.get("before")], "turn.replay": SAME,
                "model.show": {"model": {"name": "n"}},
            }
        )  # fmt: skip
        status, out, err = cli("eval", "-m", "n")
        assert status == 0
        asked = [params for method, params in daemon.received if method == "turn.replay"]
        assert asked == [
            {"turn_id": turn, "model": "n", "skill_text": "current", "background": True} for turn in ("t-1", "t-2")
        ]
        assert err.splitlines()[0] == "agentgw: 1 of 2: t-1 +1 identical, 100% alike"
        assert out.splitlines()[0].split() == [
            "SKILL", "MODEL", "RATING", "TURNS", "IDENTICAL", "SIMILAR", "CHANGED", "FAILED", "ALIKE"
        ]  # fmt: skip

    def test_a_model_that_does_not_exist_is_told_once_and_nothing_is_replayed(self, cli: Cli, serve: Serve) -> None:
        daemon = serve(
            {"feedback.list": {"ratings": [rating(1), rating(2)]}, "model.show": Failure(-32001, "no model n")}
        )
        assert cli("eval", "-m", "n") == (1, "", "agentgw: no model n\n")
        assert "turn.replay" not in daemon.methods()

    def test_the_report_counts_by_skill_model_and_rating(self, cli: Cli, serve: Serve) -> None:
        results = {
            "t-1": SAME, "t-2": OTHER, "t-3": {**OTHER, "similarity": 0.2, "compared": "chance"},
            "t-4": Failure(-32006, "no model m"),
        }  # fmt: skip
        rated = [rating(1), rating(2), rating(3, -1), rating(4, skill="other")]
        serve(
            {
                "feedback.list": {"ratings": rated},
                "turn.replay": lambda peer, params: given(results[params["turn_id"]]),
            }
        )
        status, out, err = cli("eval", "--json")
        report = json.loads(out)
        assert status == 1, "one could not be replayed"
        zero = {"identical": 0, "similar": 0, "changed": 0, "failed": 0}
        assert report["groups"] == [
            {"skill": "cook", "model": "m", "rating": 1, "turns": 2, **zero, "identical": 1, "similar": 1,
             "similarity": 0.9995},
            {"skill": "cook", "model": "m", "rating": -1, "turns": 1, **zero, "changed": 1, "similarity": 0.2},
            {"skill": "other", "model": "m", "rating": 1, "turns": 1, **zero, "failed": 1, "similarity": None},
        ]  # fmt: skip
        assert [(total["rating"], total["turns"]) for total in report["totals"]] == [(1, 3), (-1, 1)]
        assert [one["outcome"] for one in report["turns"]] == ["identical", "similar", "changed", "failed"]
        assert "failed: no model m" in err

    def test_answers_left_to_chance_are_told(self, cli: Cli, serve: Serve) -> None:
        results = {"t-1": {**OTHER, "compared": "chance"}, "t-2": {**SAME, "compared": "loose"}}
        rated = {"ratings": [rating(1), rating(2)]}
        serve({"feedback.list": rated, "turn.replay": lambda peer, params: results[params["turn_id"]]})
        assert "1 of these may differ by chance" in cli("eval")[2]
        assert cli("eval", "-q")[2] == ""

    def test_filters_go_to_the_daemon(self, cli: Cli, serve: Serve) -> None:
        daemon = serve({"feedback.list": {"ratings": []}, "skill.get": {}, "model.show": {}})
        status, _, err = cli("eval", "--skill", "cook", "--model", "m")
        assert (status, err) == (0, "agentgw: no such answer is rated; agentgw feedback +1 rates the last one\n")
        assert daemon.params("feedback.list") == {"limit": 1000, "skill": "cook", "model": "m"}

    @pytest.mark.parametrize("verb", [("eval",), ("feedback", "list")])
    @pytest.mark.parametrize(("option", "method"), [("--skill", "skill.get"), ("--model", "model.show")])
    def test_a_name_that_nothing_has_is_told(
        self, cli: Cli, serve: Serve, verb: tuple[str, ...], option: str, method: str
    ) -> None:
        found = {"feedback.list": {"ratings": []}, "stats.get": {"feedback": []}, "skill.get": {}, "model.show": {}}
        serve({**found, method: Failure(-32001, "there is no such name cok", hint="did you mean cook?")})
        assert cli(*verb, option, "cok") == (1, "", "agentgw: there is no such name cok. did you mean cook?\n")

    def test_an_interrupt_reports_what_there_is(self, cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        again = evaluating.replayed
        results: list[dict[str, Any]] = []

        def once(stream: Stream, status: Status) -> dict[str, Any]:
            if results:
                raise KeyboardInterrupt
            results.append(again(stream, status))
            return results[-1]

        monkeypatch.setattr(evaluating, "replayed", once)
        serve({"feedback.list": {"ratings": [rating(1), rating(2)]}, "turn.replay": SAME})
        status, out, err = cli("eval", "--json")
        assert status == 130
        assert (json.loads(out)["rated"], len(json.loads(out)["turns"])) == (2, 1)
        assert "interrupted after 1 of 2" in err


class TestStats:
    def test_counts_and_ratings_are_shown(self, cli: Cli, serve: Serve) -> None:
        serve({"stats.get": COUNTS})
        status, out, err = cli("stats")
        assert (status, err) == (0, "")
        assert "turns     3: 3 completed\n" in out
        assert "models    2 b, 1 a\n" in out
        assert out.splitlines()[-1].split() == ["cook", "b", "2", "1"]

    def test_json_is_the_daemons_own(self, cli: Cli, serve: Serve) -> None:
        serve({"stats.get": COUNTS})
        assert json.loads(cli("stats", "--json")[1]) == COUNTS
