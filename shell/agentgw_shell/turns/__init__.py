"""A turn on the terminal: what it says as it comes, and what is typed meanwhile."""
