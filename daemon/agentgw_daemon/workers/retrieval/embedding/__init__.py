"""Embedders: their tokens, engines and files."""
