"""The chat on a terminal: prompt-toolkit in front of the blocking client. Knows `agentgw` and nothing of the daemon."""
