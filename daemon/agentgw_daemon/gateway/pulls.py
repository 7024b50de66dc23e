"""Downloads of models that pages begin: they go on when the page is left, and every page sees how far they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentgw.protocol.errors import AlreadyExists, RpcError
from agentgw.protocol.events import ModelProgress
from agentgw_daemon.observability.supervision import supervised
from agentgw_daemon.server.calls.sinks import NoEvents

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import trio

    from agentgw_daemon.server.calls.sinks import OtherEvent

# More failures than these are not told on the page; `agentgw logs` has them.
_MOST_TOLD: Final = 20


class Pull(NoEvents):
    """One download as it goes, or why it has failed."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.done_bytes = 0
        self.total_bytes = 0
        self.error: RpcError | None = None

    async def notify(self, event: OtherEvent) -> None:
        """See EventSink."""
        if isinstance(event, ModelProgress):
            self.done_bytes, self.total_bytes = event.done_bytes, event.total_bytes
        await super().notify(event)


class Pulls:
    """The pulls that run or have failed, in the order of their beginnings."""

    def __init__(self) -> None:
        self._pulls: dict[str, Pull] = {}

    def listed(self) -> tuple[Pull, ...]:
        """The pulls as they are at this moment."""
        return tuple(self._pulls.values())

    def start(self, model: str, run: Callable[[Pull], Awaitable[object]], nursery: trio.Nursery) -> None:
        """Begin one, which `run` does, in this nursery. Raises AlreadyExists while it runs."""
        before = self._pulls.pop(model, None)
        if before is not None and before.error is None:
            self._pulls[model] = before
            raise AlreadyExists("this model is being downloaded already", kind="model")
        while len(failed := [one for one in self._pulls.values() if one.error]) >= _MOST_TOLD:
            del self._pulls[failed[0].model]
        pull = self._pulls[model] = Pull(model)
        nursery.start_soon(supervised, "pulling a model for a page", self._run, pull, run)

    async def _run(self, pull: Pull, run: Callable[[Pull], Awaitable[object]]) -> None:
        try:
            await run(pull)
        except RpcError as error:
            pull.error = error
        except Exception:
            pull.error = RpcError("it has ended unexpectedly", hint="`agentgw logs` says why")
            raise
        else:
            del self._pulls[pull.model]
