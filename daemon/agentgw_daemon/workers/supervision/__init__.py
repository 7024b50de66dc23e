"""The daemon's end of a worker: its process, its standard error, its restarts."""
