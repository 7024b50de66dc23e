"""Chunking: blocks to units, units to chunks."""
