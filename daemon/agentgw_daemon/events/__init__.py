"""Numbered events of turns and of the daemon, and who receives them."""
