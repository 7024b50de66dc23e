"""The model worker. Runs in a child process only."""
