"""The toolkit of a turn: which tools it may call, where, and on whose word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from agentgw.protocol.events import TurnNotice
from agentgw_daemon.agent import delegation
from agentgw_daemon.agent.approval_gate import ApprovalGate, ApprovalInput
from agentgw_daemon.agent.journal import CallJournal
from agentgw_daemon.agent.named_tools import check_named, named_in
from agentgw_daemon.agent.tool_runner import ToolRunner
from agentgw_daemon.approvals.policy import DENY
from agentgw_daemon.skills.model import Rag
from agentgw_daemon.tools.builtins import search_documents
from agentgw_daemon.tools.builtins.delegate import NAME
from agentgw_daemon.tools.files.places import denied_of, roots_of
from agentgw_daemon.tools.tool import RunnableTool, ToolContext

if TYPE_CHECKING:
    from agentgw.protocol.calls.turns import TurnStartParams
    from agentgw.protocol.types import Chunk, ToolCall
    from agentgw_daemon.events.turn_state import TurnState
    from agentgw_daemon.services import Services
    from agentgw_daemon.skills.model import LoadedSkill


async def make(
    services: Services,
    turns: delegation.Delegates,
    params: TurnStartParams,
    skill: LoadedSkill,
    place: str | None,
    turn: TurnState,
    past: Iterable[ToolCall] = (),
    *,
    calls: bool = True,
) -> ToolRunner:
    """The tools that this turn may call. `place`: where its skills are looked for; `past`: its calls under an
    earlier daemon.

    `calls` is false for a model that makes none: nothing is started for it then.
    """
    resumed = tuple(past)
    database = services.database if turn.stored else None
    context = await context_of(services, params.cwd, session_id=turn.session_id, turn_id=turn.turn_id)
    # An ephemeral turn may go on with a stored session.
    tainted = turn.tainted or await services.database.calls.is_tainted(turn.session_id)
    journal = CallJournal(turn.turn_id, database, tainted=tainted, past=resumed)
    allow = services.settings.tools.allow
    approval_input = ApprovalInput(
        asked_for=params.approvals, allow=allow, stored=turn.stored,
        agent=turn.skill if turn.parent is not None else None,
        above=turn.parent.announce if turn.parent is not None else None,
    )  # fmt: skip
    consent = ApprovalGate(services.approvals, context, approval_input, lambda: journal.tainted)
    allowed = skill.allowed_tools
    names = useful(params.tools, allowed) if calls else ()

    async def tell(text: str) -> None:
        await turn.log.append(TurnNotice(code="mcp_server", text=text))

    tools = dict(await services.tools.tools(names, tell))
    if calls and not resumed:
        # A server has said by now what it offers, or why it does not. A turn that goes on is not ended for a tool that
        # went in the meantime.
        check_named(named_in(params), services.tools)
    tools.pop(NAME, None)
    if await services.knowledge.is_empty():
        # It could find nothing, and each tool is a part of every prompt.
        tools.pop(search_documents.NAME, None)
    elif search_documents.NAME in tools:
        find = partial(_search, services, skill)
        tools[search_documents.NAME] = search_documents.SearchDocuments(find, turn.cite)
    skills, missing = delegation.usable(await services.projects.skill_set(place), skill.sub_agents)
    turn.log.append_nowait(*missing)
    if skills:
        tools[NAME] = delegation.Delegation(services, turns, params, skills, turn, journal)
        # To name sub-agents is to allow this, whatever other tools the skill goes without.
        allowed = None if allowed is None else (*allowed, NAME)
    known = wanted(tools, params.tools, allowed)
    tools = offered(known, params.approvals, allow)
    if calls and not resumed and turn.parent is None:
        turn.log.append_nowait(*_left_out(services, params, skill, known, tools))
    if params.tools is not None or set(params.approvals or ()) & set(tools):
        suggested_tools = frozenset(tools)
    else:
        suggested_tools = frozenset(tools) & {NAME}
    return ToolRunner(
        tools, context, consent=consent, journal=journal, turn_id=turn.turn_id, suggested_tools=suggested_tools,
        hidden_tools=known.keys() - tools.keys(), redact=services.secrets.redact,
    )  # fmt: skip


def _left_out(
    services: Services,
    params: TurnStartParams,
    skill: LoadedSkill,
    known: Mapping[str, RunnableTool],
    shown: Mapping[str, RunnableTool],
) -> Iterable[TurnNotice]:
    """Notices that say why tools that were asked for by name are not shown to the model."""
    for name in params.tools or ():
        if name in shown or services.tools.absence(name):
            continue
        if name in known:
            reason = f"it needs a yes and nobody is to be asked for one: --approve ask asks, --approve {name} allows it"
        elif name == search_documents.NAME:
            reason = "no documents are stored"
        elif name == NAME:
            reason = f"{skill.name} has no sub-agents"
        else:
            reason = f"the skill {skill.name} does not allow it"
        yield TurnNotice(code="tool_left_out", text=f"{name} is left out: {reason}")


async def _search(services: Services, skill: LoadedSkill, query: str, k: int | None) -> tuple[Chunk, ...]:
    """The documents' chunks nearest to the query, of those that the skill may see."""
    rag = skill.rag or Rag()
    return await services.knowledge.search(query, k=k or rag.top_k, skills=rag.skills or (skill.name,), tags=rag.tags)


async def context_of(services: Services, cwd: str | None, *, session_id: str, turn_id: str) -> ToolContext:
    """The place where the calls of a turn happen."""
    started, roots = services.started, services.settings.tools.roots

    def look() -> tuple[Path, tuple[Path, ...], tuple[Path, ...]]:
        home = started.environ.get("HOME", "/")
        here = Path(cwd or home).resolve()
        return here, roots_of(roots, here, home), denied_of(started.paths.directories)

    here, found, denied = await trio.to_thread.run_sync(look)
    return ToolContext(
        cwd=here, roots=found, denied=denied, session_id=session_id, turn_id=turn_id, instance=started.instance,
        environ=started.environ,
    )  # fmt: skip


def useful(names: tuple[str, ...] | None, allowed: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The names that a turn has a use for: those given, as far as the skill allows them; None is all."""
    if names is None:
        return allowed
    return names if allowed is None else tuple(name for name in names if name in allowed)


def wanted(
    tools: Mapping[str, RunnableTool], names: tuple[str, ...] | None, allowed: tuple[str, ...] | None
) -> dict[str, RunnableTool]:
    """The tools of these names, as far as the skill allows them; None is all."""
    return {
        name: tool
        for name, tool in tools.items()
        if (names is None or name in names) and (allowed is None or name in allowed)
    }


def offered(
    tools: Mapping[str, RunnableTool], approvals: tuple[str, ...] | None, allow: tuple[str, ...]
) -> dict[str, RunnableTool]:
    """The tools that the model is shown.

    Where nobody is to be asked, a tool that always has to be asked about is not shown at all: a call that can only be
    denied helps nobody.
    """
    if approvals is None or DENY not in approvals:
        return dict(tools)
    sure = {*approvals, *allow}
    return {name: tool for name, tool in tools.items() if tool.spec.effect in ("none", "read") or name in sure}
