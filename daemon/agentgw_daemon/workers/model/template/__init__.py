"""Chat templates, and how a model's template shows tool calls."""
