"""Signal to index keepers that documents have changed."""

from __future__ import annotations

from agentgw_daemon.events.change_signal import ChangeSignal


class DocumentChanges(ChangeSignal):
    """Told when something was written or removed and is committed."""

    def __init__(self) -> None:
        super().__init__()
        # Grows when a backup takes the database's place: generations of before mean nothing then.
        self.replaced = 0

    def tell_replaced(self) -> None:
        """Tells that another database took this one's place. Call on trio's thread."""
        self.replaced += 1
        self.tell()
