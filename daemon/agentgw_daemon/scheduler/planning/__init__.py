"""Decisions about what starts when, from clocks and what is stored. Does no I/O."""
