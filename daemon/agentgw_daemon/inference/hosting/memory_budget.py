"""Decision about memory: a model has room or not, and which model leaves for it. Pure.

What the system calls available includes pages of files that it could drop. Weights are such pages, mapped from the
file: those of the newcomer cost nothing more if they are in the cache already, as they are counted as available and
as needed. But those of models that stay are in use, and dropped they would be read again at the next token: they are
taken off what is available.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentgw.protocol.errors import ModelUnavailable
from agentgw.protocol.records.schema import record
from agentgw_daemon.workers.protocol.footprint import MemoryNeed

# Left to other programs and to the daemon itself; the system's own estimate is not exact either.
RESERVE_BYTES: Final = 256 << 20
# A context that is less than this part of the whole is not worth making smaller.
_NOTABLE: Final = 0.2


@record
class Tenant:
    """A model that is in memory, or on its way there."""

    path: str
    name: str
    need: MemoryNeed
    loaded: bool
    idle: bool
    idle_since: float

    @property
    def claim_bytes(self) -> int:
        """Bytes that count as available and are not: weights in use, or all that it is about to take."""
        return self.need.weights if self.loaded else self.need.total


def spare_bytes(available: int, tenants: Sequence[Tenant]) -> int:
    """Bytes that a newcomer may take while these stay."""
    return max(available - RESERVE_BYTES - sum(tenant.claim_bytes for tenant in tenants), 0)


def next_to_leave(tenants: Sequence[Tenant]) -> Tenant | None:
    """The one that has been idle longest; a busy one, or one that is being loaded, never leaves."""
    idle = [tenant for tenant in tenants if tenant.loaded and tenant.idle]
    return min(idle, key=lambda tenant: tenant.idle_since, default=None)


def no_room(name: str, need: MemoryNeed, spare: int, busy: Sequence[str]) -> ModelUnavailable:
    """The error of a model that is not loaded, in numbers, with what would help."""
    context = need.context + need.buffers
    reason = (
        f"needs {shown(need.total)} of memory (weights {shown(need.weights)}, context {shown(context)}), "
        f"{shown(spare)} are available"
    )
    ways = ["set a smaller inference.n_ctx"] if context > _NOTABLE * need.total else []
    ways += [f"unload {other}" for other in busy]
    hint = ", or ".join(ways or ["use a smaller model, or a smaller quantisation of it"])
    return ModelUnavailable(f"{name} {reason}", hint=hint, model=name, reason=reason)


def shown(count: int) -> str:
    """Bytes for people, in powers of ten."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
