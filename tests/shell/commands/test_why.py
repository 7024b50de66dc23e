from __future__ import annotations

from agentgw_shell.commands.why import explained, parts_of

PARTS = "template 12, message 88"
DETAIL = {
    "turn": {"skill": "general-assistant", "model": "m"},
    "usage": {"prompt_tokens": 100, "cached_tokens": 40, "completion_tokens": 7},
    "timings": {"decode_tokens_per_s": 66.0, "first_token_ms": 42.0},
    "system": "Be kind.", "message": "hi", "engine": "llama 1",
    "options": {"temperature": 0.5, "seed": None},
    "sources": [{"source": "/a.md", "lines": [3, 9], "score": 0.5, "similarity": 0.25, "text": "one\ntwo"}],
    "history": {"left_out_turns": 2},
    "tools": [{"name": "read_file"}],
    "tool_calls": [{"tool": "read_file", "arguments": {"path": "a"}, "ok": True}],
    "steps": [{}, {}],
}  # fmt: skip


def test_what_decided_an_answer_is_told() -> None:
    told = dict(explained(DETAIL, ["skill general-assistant (words: hi)"], PARTS))
    assert told["told"] == "skill general-assistant (words: hi)"
    assert told["document"] == "/a.md:3-9 (score 0.50, likeness 0.25) one two"
    assert told["trimmed"] == "the oldest 2 turns were left out"
    assert told["tools shown"] == "read_file"
    assert told["call"] == "read_file(path='a'): done"
    assert told["read"] == "100 tokens, 40 of them computed before"
    assert told["wrote"] == "7 tokens, 66 a second, the first after 42 ms"
    assert told["options"] == "temperature 0.5"
    assert (told["steps"], told["first step"]) == ("2", PARTS)


def test_the_parts_of_the_only_prompt_are_parts_of_what_was_read() -> None:
    assert dict(explained({**DETAIL, "steps": [{}]}, [], PARTS))["of which"] == PARTS


def test_parts_are_told_in_tokens_and_tools_together() -> None:
    parts = [("template", 12), ("skill general-assistant", 97), ("tool read_file", 40), ("tool web", 2), ("message", 3)]
    counted = {"tokens": 154, "parts": [{"name": name, "tokens": tokens} for name, tokens in parts]}
    assert parts_of(counted) == "template 12, skill general-assistant 97, 2 tools 42, message 3"
    assert parts_of({**counted, "estimated": True}).startswith("about template 12, ")
