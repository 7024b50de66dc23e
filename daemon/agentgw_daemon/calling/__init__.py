"""Calling tools with local models: what the model is told, how its calls are read, how results go back. Does no I/O."""
