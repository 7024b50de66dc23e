"""Engines: the built-in echo, OpenAI-compatible endpoints, local models."""
