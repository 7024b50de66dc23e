"""The retrieval worker. Runs in a child process only."""
