"""Who and what is let in, and what is noted of it."""
