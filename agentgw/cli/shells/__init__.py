"""The user's own shell: what it completes, and the keys that it gets."""
