"""Models that can be had: which agentgw knows of, and which of them suit this machine."""
