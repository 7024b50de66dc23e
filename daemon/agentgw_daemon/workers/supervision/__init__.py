"""The daemon's end of a worker: its process, its last words, its restarts."""
