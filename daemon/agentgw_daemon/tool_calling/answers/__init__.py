"""Answers of models: read while they arrive, and calls and JSON taken out of them."""
