"""Documents searched: by words, by vectors, both joined."""
