from __future__ import annotations

from agentgw_shell.prompt.toolbar import BarFacts, bar


def test_the_bar_tells_what_answers_what_is_used_and_what_waits() -> None:
    facts = BarFacts(
        model="smollm2",
        skill="code",
        used_tokens=1024,
        n_ctx_tokens=2048,
        tokens_per_s=66,
        queue=2,
        approvals=1,
        jobs=3,
    )
    assert bar(facts, 200) == (
        "smollm2 · code · 1.0k/2.0k [█████░░░░░] 50% · 1 to approve: /approvals · stays here"
        " · 66 tok/s · 2 queued · 3 jobs"
    )


def test_where_words_may_go_is_named() -> None:
    assert "can leave: openai" in bar(BarFacts(model="openai/x", leaves_to=("openai",)), 200)


def test_the_bar_is_never_wider_than_the_screen() -> None:
    assert bar(BarFacts(model="日本" * 50), 20) == "日本" * 4 + "日"
    assert "\x1b" not in bar(BarFacts(model="\x1b[2J"), 20)
