"""Models: what a reference means, what is on disk, and how it gets there."""
