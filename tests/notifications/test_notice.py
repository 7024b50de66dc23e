"""Texts that somebody decides by, or learns from."""

from __future__ import annotations

from agentgw.protocol.calls.jobs import JobRun
from agentgw.protocol.types import Approval
from agentgw_daemon.notifications.notice import MAX_BODY_CHARS, approval_notice, job_notice, without_markup


def approval(**fields: object) -> Approval:
    given: dict[str, object] = {
        "approval_id": "a-1", "tool": "run_command", "arguments": {"argv": ["rm", "x"]}, "cwd": "/home/me",
        "title": "Run rm x", "details": ("arguments: …", "runs /bin/rm"), "asked_at": "now", "expires_at": "later",
    }  # fmt: skip
    return Approval(**(given | fields))  # type: ignore[arg-type]  # the test's own fields


def test_the_exact_call_is_shown() -> None:
    shown = approval_notice(approval())
    assert shown.summary == "agentgw asks: run_command"
    assert 'arguments: {"argv": ["rm", "x"]}\nin: /home/me\n' in shown.body
    assert "runs /bin/rm" in shown.body
    assert shown.may_allow


def test_what_is_not_seen_is_escaped() -> None:
    shown = approval_notice(
        approval(title="a\u202eb\x1b]52;c;x\x07", cwd="/x\r/\ud800", arguments={"a": "\u202e<b>\x00"}, tool="x\u200by")
    )
    for text in (shown.body, shown.summary):
        text.encode()
        assert not set(text) & set("\u202e\x1b\x07\r\x00\ud800\u200b")


def test_nobody_says_yes_to_what_is_not_shown_whole() -> None:
    long = approval_notice(approval(arguments={"a": "x" * 2000}))
    assert not long.may_allow
    assert len(long.body) < MAX_BODY_CHARS + 100
    assert "`agentgw approvals`" in long.body
    # Blanks do not push it out of sight either.
    assert not approval_notice(approval(details=("\n" * 2000,))).may_allow
    assert not approval_notice(approval(diff="--- a\n+++ b\n")).may_allow


def test_markup_is_text() -> None:
    assert without_markup('<a href="x">&lt;</a>') == '&lt;a href="x"&gt;&amp;lt;&lt;/a&gt;'


def test_the_end_of_a_job() -> None:
    run = JobRun(run_id="1", job="nightly\x1b", scheduled_for="2027", status="failed", why="no\nway", turn_id="t-1")
    shown = job_notice(run)
    assert shown.summary == "job nightly\\x1b: failed"
    assert shown.body == "the run of 2027 is failed: no\\nway\nagentgw turns show t-1"
