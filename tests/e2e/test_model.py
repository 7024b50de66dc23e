"""A real model from end to end: its words, its options, its limits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.home import Home, starter_home
from tests.starter import SHA256, starter_model

pytestmark = pytest.mark.e2e

# A short system text: reading a prompt is what takes time here.
BRIEF = ("run", "--system", "Be brief.")


@pytest.fixture(scope="module")
def chat() -> Iterator[Home]:
    """One installation whose model stays loaded."""
    yield from starter_home()


def answer(home: Home, *words: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """The result of a turn."""
    made: dict[str, Any] = json.loads(home.ask(*BRIEF, "--json", *words, environ=environ))
    return made


def test_a_pulled_model_answers_by_itself(chat: Home) -> None:
    # With a seed everything is computed anew, so that the second answer is the first one.
    said = chat.ask(*BRIEF, "-o", "max_tokens=8", "-o", "seed=1", "Say hello.")
    assert said.strip()
    assert said.endswith("\n")
    assert not said.endswith("\n\n")
    assert chat.ask(*BRIEF, "-o", "max_tokens=8", "-o", "seed=1", said="Say hello.\n") == said
    turn = chat.call("turn.list")["turns"][0]
    assert turn["model"] == "smollm2:135m"


def test_the_numbers_of_a_result_are_the_models_own(chat: Home) -> None:
    counted = json.loads(chat.ask(*BRIEF, "--dry-run", "--json", "Say hello."))
    made = answer(chat, "-o", "max_tokens=6", "Say hello.")
    assert made["usage"]["prompt_tokens"] == counted["usage"]["prompt_tokens"]
    assert (made["usage"]["completion_tokens"], made["finish_reason"]) == (6, "length")
    assert made["timings"]["decode_tokens_per_s"] > 0
    detail = chat.call("turn.show", turn_id=made["turn_id"])
    assert detail["options"]["max_tokens"] == 6
    assert detail["text"] == made["text"]
    assert re.fullmatch("[0-9a-f]{64}", detail["prompt_sha256"])


def test_the_digest_of_the_file_is_kept_with_the_turn(chat: Home) -> None:
    answer(chat, "-o", "max_tokens=1", "Hi")
    chat.call("model.show", model="smollm2:135m")
    made = answer(chat, "-o", "max_tokens=1", "Hi")
    assert chat.call("turn.show", turn_id=made["turn_id"])["model_sha256"] == SHA256


def test_a_loaded_model_is_shown_as_such(chat: Home) -> None:
    assert chat.call("model.load", model="smollm2:135m")["state"] == "loaded"
    assert chat.call("model.show", model="smollm2:135m")["model"]["state"] == "loaded"
    chat.call("model.unload", model="smollm2:135m")
    assert chat.call("model.show", model="smollm2:135m")["model"]["state"] == "available"


def test_dry_run_is_the_prompt_in_the_models_own_template(chat: Home) -> None:
    shown = chat.ask(*BRIEF, "--dry-run", "-q", "Say hello.")
    assert shown == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nSay hello.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )  # fmt: skip


def test_a_dry_run_counts_the_parts_of_what_the_turn_then_reads(chat: Home) -> None:
    (chat.work / "notes.txt").write_text("Ada Lovelace wrote the first program.\n")
    session_id = answer(chat, "-o", "max_tokens=4", "My name is Ada.")["session_id"]
    words = ("--session", session_id, "-f", "notes.txt", "Who am I?")
    counted = answer(chat, "--dry-run", *words)
    made = answer(chat, "-o", "max_tokens=1", *words)
    parts = {part["name"]: part["tokens"] for part in counted["parts"]}
    assert list(parts) == ["template", "system", "earlier turns", "message", "file notes.txt"]
    assert sum(parts.values()) == counted["usage"]["prompt_tokens"] == made["usage"]["prompt_tokens"]
    # "Be brief." and the words of the file, each at least a token.
    assert parts["system"] == 3
    assert parts["file notes.txt"] > 7
    assert counted["fit"].pop("n_ctx_tokens") == 8192
    assert not any(counted["fit"].values()), "all is shown, and counted by the tokenizer"


def test_a_skill_costs_little_the_second_time(chat: Home) -> None:
    before = chat.call("stats.get")
    (cost,) = json.loads(chat.ask("skills", "cost", "--json", "quick_assistant"))["skills"]
    assert (cost["name"], cost["model"]) == ("quick-assistant", "smollm2:135m")
    assert cost["tokens"] < cost["prompt_tokens"]
    assert cost["share"] == cost["tokens"] / 8192
    assert cost["cached_tokens"] == cost["prompt_tokens"] - 1
    # One token computed against a hundred.
    assert 0 < cost["warm_ms"] < cost["cold_ms"] <= cost["first_token_ms"]
    after = chat.call("stats.get")
    assert [after[name] for name in ("sessions", "turns", "messages")] == [
        before[name] for name in ("sessions", "turns", "messages")
    ]


def test_the_same_seed_gives_the_same_text_whatever_came_between(chat: Home) -> None:
    def drawn(seed: int) -> str:
        options = ("-o", f"seed={seed}", "-o", "temperature=1.2", "-o", "max_tokens=10")
        text: str = answer(chat, *options, "Tell me a story.")["text"]
        return text

    first = drawn(7)
    others = {drawn(seed) for seed in (8, 9)}
    answer(chat, "-o", "max_tokens=4", "Tell me a joke.")
    assert drawn(7) == first
    assert others != {first}


def test_a_stop_string_ends_the_answer_before_itself(chat: Home) -> None:
    greedy = ("-o", "temperature=0", "-o", "max_tokens=12")
    whole = answer(chat, *greedy, "Count from one to ten.")["text"]
    stop = whole[len(whole) // 2 :][:3]
    made = answer(chat, *greedy, "-o", f"stop={stop}", "Count from one to ten.")
    assert made["text"] == whole[: whole.index(stop)]
    assert made["finish_reason"] == "stop"


def test_a_second_turn_reads_only_what_is_new(chat: Home) -> None:
    first = answer(chat, "-o", "max_tokens=4", "My name is Ada.")
    second = answer(chat, "-o", "max_tokens=4", "--session", first["session_id"], "What is my name?")
    assert second["usage"]["cached_tokens"] >= first["usage"]["prompt_tokens"] - 1
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"]


def test_a_model_file_is_used_in_place_by_its_relative_path(chat: Home) -> None:
    (chat.work / "own.gguf").symlink_to(starter_model())
    made = answer(chat, "-m", "own.gguf", "-o", "max_tokens=2", "Hi")
    assert made["usage"]["completion_tokens"] == 2
    assert sorted(os.listdir(chat.path / "data" / "models" / ".partial")) == []


def test_a_message_that_cannot_fit_is_refused_with_the_numbers(model_home: Home) -> None:
    done = model_home.run(*BRIEF, "word " * 600, environ={"AGENTGW_INFERENCE__N_CTX": "512"})
    assert (done.status, done.out) == (7, "")
    match = re.fullmatch(
        r"agentgw: the message does not fit: (\d+) tokens, the context of smollm2:135m has 512\. .+\n", done.err
    )
    assert match, done.err
    assert int(match[1]) > 600


def test_the_oldest_turns_of_a_long_session_are_shown_as_a_summary_and_the_user_is_told(model_home: Home) -> None:
    small = {"AGENTGW_INFERENCE__N_CTX": "256"}
    words = ("-o", "max_tokens=1", "-o", "temperature=0")
    session_id = answer(model_home, *words, "apple " * 80, environ=small)["session_id"]
    answer(model_home, *words, "--session", session_id, "bread " * 80, environ=small)
    done = model_home.run(*BRIEF, *words, "--session", session_id, "cheese " * 80, environ=small)
    assert done.status == 0
    assert done.err == "agentgw: the oldest turn is shown to the model as a summary\n"
    quiet = model_home.run(*BRIEF, *words, "-q", "--session", session_id, "dough " * 80, environ=small)
    assert (quiet.status, quiet.err) == (0, "")
    # Nothing of the session itself is lost.
    stored = model_home.call("session.messages", session_id=session_id)["messages"]
    assert [message["content"].split()[0] for message in stored if message["role"] == "user"] == [
        "apple", "bread", "cheese", "dough",
    ]  # fmt: skip


def test_a_context_set_larger_than_the_models_own_still_trims_and_the_dry_run_knows(model_home: Home) -> None:
    large = {"AGENTGW_INFERENCE__N_CTX": "32768"}
    # 10,000 bytes asked and answered would fit by the setting; their 10,000 tokens do not fit the model's 8192.
    session_id = answer(model_home, "-m", "echo", "x " * 5000, environ=large)["session_id"]
    words = (*BRIEF, "-o", "max_tokens=1", "--session", session_id, "Hi")
    counted = json.loads(model_home.ask(*words, "--dry-run", "--json", environ=large))
    assert (counted["fit"]["n_ctx_tokens"], counted["fit"]["left_out_turns"]) == (8192, 1)
    done = model_home.run(*words, "--json", environ=large)
    assert done.err == f"agentgw: the oldest turn ({counted['fit']['left_out_tokens']} tokens) was left out\n"
    assert json.loads(done.out)["usage"]["prompt_tokens"] == counted["usage"]["prompt_tokens"]
