"""Connections: accepted, read, written to, and closed."""
