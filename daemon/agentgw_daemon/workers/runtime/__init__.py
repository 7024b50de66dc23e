"""What every worker process needs. Runs in child processes only."""
