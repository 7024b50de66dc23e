"""The bar below the prompt: the model that would answer, how full its context is, messages that wait. Does no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agentgw.cli.output import one_line
from agentgw_shell.rendering.cells import pieces

_BAR_CELLS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BarFacts:
    """Facts that the bar tells."""

    model: str = ""
    skill: str = ""
    used_tokens: int = 0
    #: 0 is unknown.
    n_ctx_tokens: int = 0
    tokens_per_s: float = 0.0
    queue: int = 0
    approvals: int = 0
    jobs: int = 0
    #: Places beside this machine that the text of this chat may go to.
    leaves_to: tuple[str, ...] = ()
    #: Replaces all of it, while the daemon is not there yet.
    instead: str = ""


def bar(facts: BarFacts, columns: int) -> str:
    """The bar on one line of at most so many columns; what matters least is cut off."""
    if facts.instead:
        return _cut(facts.instead, columns)
    parts = [facts.model or "no model yet"]
    parts += [facts.skill] if facts.skill else []
    parts += [_context(facts)] if facts.used_tokens else []
    parts += [f"{facts.approvals} to approve: /approvals"] if facts.approvals else []
    parts.append(f"can leave: {', '.join(facts.leaves_to)}" if facts.leaves_to else "stays here")
    parts += [f"{facts.tokens_per_s:.0f} tok/s"] if facts.tokens_per_s else []
    parts += [f"{facts.queue} queued"] if facts.queue else []
    parts += [f"{facts.jobs} jobs"] if facts.jobs else []
    return _cut(" · ".join(map(one_line, parts)), columns)


def _context(facts: BarFacts) -> str:
    used = _thousands(facts.used_tokens)
    if not facts.n_ctx_tokens:
        return f"{used} tokens"
    share = min(facts.used_tokens / facts.n_ctx_tokens, 1.0)
    cells = "█" * round(share * _BAR_CELLS)
    return f"{used}/{_thousands(facts.n_ctx_tokens)} [{cells.ljust(_BAR_CELLS, '░')}] {share:.0%}"


def _thousands(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.1f}k"


def _cut(text: str, columns: int) -> str:
    return next(iter(pieces(text, max(columns - 1, 1))), "")
