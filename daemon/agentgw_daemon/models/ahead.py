"""The worker started before the first request, which saves that a tenth of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentgw.protocol.errors import AgentgwError
from agentgw_daemon.models.names import reference
from agentgw_daemon.models.names.reference import GGUF, Builtin, ProviderRef

if TYPE_CHECKING:
    from pathlib import Path

    from agentgw_daemon.config.settings import Settings


def is_worker_likely(settings: Settings, models_dir: Path, home: str | None) -> bool:
    """Tells whether the first request may well be for a model of this machine. Blocking, but short.

    It is not where an endpoint or `echo` is the default, nor where there are endpoints and no model was pulled.
    """
    if settings.model.default is None:
        return not settings.providers or any(models_dir.glob(f"*{GGUF}"))
    try:
        default = reference.parse(settings.model.default, providers=settings.providers, home=home)
    except AgentgwError:
        return False
    return not isinstance(default, Builtin | ProviderRef)
