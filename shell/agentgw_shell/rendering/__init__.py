"""Answers on a terminal: Markdown to lines as it streams, and lines to bytes that are only ever appended."""
