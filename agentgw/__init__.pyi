from agentgw.api.asynchronous import AsyncAgentGWClient as AsyncAgentGWClient
from agentgw.api.blocking import AgentGWClient as AgentGWClient

__version__: str
PROTOCOL: int
