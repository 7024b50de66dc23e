"""Keys and values: in the context, in memory, on disk."""
