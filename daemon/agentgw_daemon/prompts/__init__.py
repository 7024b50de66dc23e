"""Prompts: a session assembled for a model, fitted to the context, summarised."""
