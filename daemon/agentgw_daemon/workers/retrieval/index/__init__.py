"""The vector index: exact and approximate search, and its file."""
