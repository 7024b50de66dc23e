"""Continuous batching: the choice of the sequences that compute in the next batch."""
