"""Texts of desktop notices. Does no I/O.

What a model or a stranger wrote is escaped as for a terminal; markup is escaped where the desktop reads markup.
"""

from __future__ import annotations

from typing import Final

from agentgw.protocol.calls.jobs import JobRun
from agentgw.protocol.records.schema import record
from agentgw.protocol.types import Approval
from agentgw.protocol.visible import escaped
from agentgw_daemon.text.valid import valid_text
from agentgw_daemon.text.visible import visible_json

# Desktops show a few lines, and some of them more when asked; a call that needs more is for the terminal.
MAX_BODY_CHARS: Final = 900
_MAX_SUMMARY_CHARS: Final = 120
_IN_A_TERMINAL: Final = "`agentgw approvals` shows all of it"


@record
class DesktopNotice:
    """One message on the desktop. `may_allow`: all that a yes would be about is in it. Nothing in it is markup."""

    summary: str
    body: str
    may_allow: bool = False


def approval_notice(approval: Approval) -> DesktopNotice:
    """The exact call. What is too long to be shown whole, or changes a file, can only be denied from here."""
    title = valid_text(approval.title or "")
    shown = [
        f"arguments: {visible_json(approval.arguments)}",
        f"in: {escaped(valid_text(approval.cwd))}",
    ]
    shown += [text for text in (escaped(valid_text(one)) for one in approval.details or ()) if text not in shown]
    body = "\n".join([*([escaped(title)] if title else []), *shown])
    whole = len(body) <= MAX_BODY_CHARS and not approval.diff
    if not whole:
        body = f"{body[:MAX_BODY_CHARS]} …\n{_IN_A_TERMINAL}"
    return DesktopNotice(
        summary=_cut(f"agentgw asks: {escaped(valid_text(approval.tool))}"), body=body, may_allow=whole
    )


def job_notice(run: JobRun) -> DesktopNotice:
    """The notice of how a run of a job ended."""
    why = f": {escaped(valid_text(run.why))}" if run.why else ""
    lines = [f"the run of {run.scheduled_for} is {run.status}{why}"[:MAX_BODY_CHARS]]
    if run.turn_id is not None:
        lines.append(f"agentgw turns show {run.turn_id}")
    return DesktopNotice(summary=_cut(f"job {escaped(valid_text(run.job))}: {run.status}"), body="\n".join(lines))


def without_markup(text: str) -> str:
    """The text as a desktop shows it that reads markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SUMMARY_CHARS else f"{text[: _MAX_SUMMARY_CHARS - 1]}…"
