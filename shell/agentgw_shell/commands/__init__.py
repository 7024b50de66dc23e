"""Commands of the chat: lines that begin with a slash, one module a group."""
