"""Connecting while the prompt is already there: the daemon may take a second to start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agentgw.local.connect import connect_client
from agentgw.local.paths import Paths

if TYPE_CHECKING:
    from agentgw.client import Client

# Seconds between looks of a wait, so that Ctrl-C is heard.
_LOOK_S: Final = 0.2


class Opening:
    """One attempt to connect, made by a thread, which calls `greet` with the client before anybody else has it.

    `fail` is called by it with what kept it from that.
    """

    def __init__(self, greet: Callable[[Client], None], fail: Callable[[BaseException], None]) -> None:
        self._client: Client | None = None
        self._error: BaseException | None = None
        self._greet = greet
        self._fail = fail
        self._done = threading.Event()
        #: Lines for the user about it.
        self.notices: list[str] = []
        # A daemon thread: whoever leaves before it is done leaves at once. Its wait has a limit of its own.
        self._thread = threading.Thread(target=self._connect, daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        try:
            self._client = connect_client(Paths(), warm=True, notice=self.notices.append, may_ask=False)
            self._greet(self._client)
        except BaseException as error:  # noqa: BLE001 - raised where the client is wanted
            self._error = error
            self._fail(error)
        self._done.set()

    @property
    def is_done(self) -> bool:
        """True when `client` gives it at once."""
        return self._done.is_set()

    @property
    def has_failed(self) -> bool:
        """True when `client` raises."""
        return self._error is not None

    def client(self) -> Client:
        """The client, once it is there. Raises what kept it from that."""
        while not self._done.wait(_LOOK_S):
            continue
        if self._error is not None:
            raise self._error
        assert self._client is not None
        return self._client
