"""The jobs file: read entry by entry, edited as text."""
