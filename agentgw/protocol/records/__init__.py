"""Records: made, bound from the wire, written back, described."""
