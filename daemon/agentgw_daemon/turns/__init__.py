"""Turns: all of them, one from its request to its end, its record, dry runs and resumption."""
