"""The agentgw daemon: one trio process per user; the only process that opens the database."""
