"""The built-in tools: what they give, and what they must not."""
