"""Embedding, vector indexes and the reading of documents, each in worker processes, and the daemon side of them."""
