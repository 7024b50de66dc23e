"""Places where a client of a program finds its daemon."""

from __future__ import annotations

from agentgw.local.connect import connect_client
from agentgw.local.environment import Environment
from agentgw.local.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentgw.client import Client


class DaemonPlace:
    """The daemon of an address, or of AGENTGW_URL, or of this user; connections to it are blocking and greeted."""

    def __init__(self, url: str | None, api_key: str | None) -> None:
        environment = Environment()
        if url is not None:
            environment.agentgw_url = url
            environment.agentgw_socket = ""
        if api_key is not None:
            environment.api_key = api_key
        self._environment = environment
        self._paths = Paths(environment)

    @property
    def is_local(self) -> bool:
        """Tells whether the daemon is on this machine, so that its paths are this machine's."""
        return not self._paths.other_url

    def connect(self) -> Client:
        """A new connection; the daemon of this user is started if need be. Raises AgentgwError."""
        return connect_client(self._paths, environment=self._environment, may_ask=False)
