"""Calls: requests found in frames, what a handler is given, and its answers as frames."""
