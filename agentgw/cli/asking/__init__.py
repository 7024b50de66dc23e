"""Questions to the user at a terminal: a tool call, a command that an answer proposes."""
