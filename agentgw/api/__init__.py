"""The daemon for programs: `AgentGWClient` and `AsyncAgentGWClient`, which `agentgw` gives by these names."""
