"""Loaded models and their worker processes."""
