"""The skill for a message from end to end: words, a model that can choose, and never a skill that does not exist."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.endpoint import Endpoint
from tests.e2e.home import Home

pytestmark = pytest.mark.e2e

SKILLS = ["code-assistant", "general-assistant", "project-manager", "quick-assistant", "summarize-document"]
AUTO = '[model]\ndefault = "{model}"\n[agent]\ndefault_skill = "auto"\nroute_by = "{by}"\n'


def routed(home: Home, message: str) -> tuple[str, str]:
    """The first skill, and why."""
    ranked: list[dict[str, Any]] = json.loads(home.ask("skills", "route", "--json", message))["skills"]
    assert sorted(match["name"] for match in ranked) == SKILLS
    return ranked[0]["name"], ranked[0]["reason"]


def test_a_model_that_can_choose_is_asked_where_words_are_unclear(home: Home, endpoint: Endpoint) -> None:
    home.configure(AUTO.format(model="scripted/m", by="auto") + endpoint.config)
    assert routed(home, "summarize this document") == ("summarize-document", "words: summarize, document")
    child = home.start("run", "12?")
    question = endpoint.next()
    assert question.body["response_format"]["json_schema"]["schema"]["enum"] == SKILLS
    question.end('"quick-assistant"')
    answer = endpoint.next()
    assert "as few words as possible" in answer.messages[0]["content"]
    answer.end("twelve")
    done = home.finish(child)
    assert (done.status, done.out) == (0, "twelve\n")
    assert done.err == "agentgw: skill quick-assistant (chosen by scripted/m)\n"


def test_a_skill_that_does_not_exist_is_never_taken(home: Home, endpoint: Endpoint) -> None:
    home.configure(AUTO.format(model="scripted/m", by="auto") + endpoint.config)
    child = home.start("skills", "route", "--json", "12?")
    endpoint.next().end('"pirate"')
    ranked = json.loads(home.finish(child).out)["skills"]
    assert ranked[0]["name"] == "general-assistant"
    assert ranked[0]["reason"] == "words: none of any skill; scripted/m named none"


def test_without_any_model_words_decide(home: Home) -> None:
    home.configure('[agent]\ndefault_skill = "auto"\n')
    assert routed(home, "12?") == ("general-assistant", "words: none of any skill; no model to ask")


@pytest.mark.parametrize("by", ["auto", "model"])
def test_the_starter_model_is_left_alone_or_can_name_nothing_but_a_skill(model_home: Home, by: str) -> None:
    model_home.configure(AUTO.format(model="smollm2:135m", by=by))
    # A cold start may take longer than routing waits.
    model_home.call("model.load", model="smollm2:135m")
    name, reason = routed(model_home, "tell me a joke")
    if by == "auto":
        assert (name, reason) == ("general-assistant", "words: none of any skill")
    else:
        assert reason in (
            "chosen by smollm2:135m",
            "words: none of any skill; smollm2:135m did not answer within 5 seconds",
        )
