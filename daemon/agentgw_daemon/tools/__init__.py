"""Tools: what a turn may do beside talking. Files, commands, databases and the web, each behind its own bounds."""
