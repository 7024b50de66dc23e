"""Who may have a tool call done: rules, the queue of questions, and what was answered."""
