"""Worker processes of all kinds: the process as the daemon sees it, and its lifelines inside."""
