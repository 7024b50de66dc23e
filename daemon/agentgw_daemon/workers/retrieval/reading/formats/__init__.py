"""One module a format: its text in blocks."""
