"""Turns of before: what ended ones gave, those that an earlier daemon left, and summaries of the oldest."""
