"""Basis of every worker process. Runs in child processes only."""
