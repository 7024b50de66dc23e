"""Daemons elsewhere: the wire of the socket over ssh or HTTP, as AGENTGW_URL names it. Imported when it does."""
