"""Pages of what the daemon has and does beside sessions, one module a page."""
