"""Turns that are not run, or not yet: their prompts rendered, counted, and computed beforehand."""
