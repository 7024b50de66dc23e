"""Text, times and progress for people at a terminal, and their editor."""
